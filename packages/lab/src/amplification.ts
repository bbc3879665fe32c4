import type { Random } from "./random.ts";

/** What an abused server of each kind answers, as UDP payload of at most 1,430 bytes. */
export const answers = {
  dns,
  ntp,
  ssdp,
  snmp,
  memcached,
  cldap,
  chargen,
  wsd,
  coap,
  ike,
  openvpn,
} satisfies Record<string, (random: Random) => Uint8Array>;

const encoder = new TextEncoder();
const text = (value: string) => encoder.encode(value);
const u16 = (value: number) => [(value >> 8) & 255, value & 255];
const u32 = (value: number) => [...u16(value >>> 16), ...u16(value & 0xffff)];
const letters = (random: Random, length: number) => random.bytes(length).map((byte) => 97 + (byte % 26));

function join(...parts: (Uint8Array | readonly number[])[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let end = 0;
  for (const part of parts) {
    all.set(part, end);
    end += part.length;
  }
  return all;
}
const hex = (random: Random, length: number) => Buffer.from(random.bytes(length)).toString("hex");

/** RFC 1035: an answer to ANY, made of TXT records that point back at the question's name. */
function dns(random: Random): Uint8Array {
  const labels = [random.pick(["example", "sample", "records", "zone"]), random.pick(["com", "org", "net"])];
  const name = join(...labels.map((label) => join([label.length], text(label))), [0]);
  const records = random.between(3, 5);
  const record = () => {
    const length = random.between(220, 255);
    return join(
      u16(0xc00c),
      u16(16),
      u16(1),
      u32(random.between(60, 86_400)),
      u16(length + 1),
      [length],
      letters(random, length),
    );
  };
  const header = join(u16(random.u32()), u16(0x8180), u16(1), u16(records), u16(0), u16(0));
  return join(header, name, u16(255), u16(1), ...Array.from({ length: records }, record));
}

/** ntpd's mode 7 MON_GETLIST_1 answer: six entries of 72 bytes. */
function ntp(random: Random): Uint8Array {
  const entries = Array.from({ length: 6 }, () => {
    const counters = [random.below(5000), random.below(5000), 0, random.below(10_000)].flatMap(u32);
    return join(counters, random.bytes(8), u32(1), u16(123), [7, 2], new Uint8Array(40));
  });
  return join([0xd7, random.below(128), 3, 42], u16(6), u16(72), ...entries);
}

function ssdp(random: Random): Uint8Array {
  const [type, server] = random.pick([
    ["upnp:rootdevice", "Linux/3.4 UPnP/1.0 MiniUPnPd/1.9"],
    ["urn:schemas-upnp-org:device:InternetGatewayDevice:1", "Custom/1.0 UPnP/1.0 Proc/Ver"],
    ["urn:schemas-upnp-org:service:WANIPConnection:1", "ipos/7.0 UPnP/1.0 router/1.0"],
  ]);
  const where = `http://192.168.${random.below(255)}.1:${random.between(1024, 65_535)}/rootDesc.xml`;
  return text(
    `HTTP/1.1 200 OK\r\nCACHE-CONTROL: max-age=120\r\nST: ${type}\r\nUSN: uuid:${hex(random, 16)}::${type}\r\n` +
      `EXT:\r\nSERVER: ${server}\r\nLOCATION: ${where}\r\n\r\n`,
  );
}

/** One BER value; lengths in the two-byte long form that SNMP and LDAP servers use. */
const ber = (tag: number, ...parts: (Uint8Array | readonly number[])[]) => {
  const content = join(...parts);
  return join([tag, ...(content.length < 128 ? [content.length] : [0x82, ...u16(content.length)])], content);
};

/** SNMPv2c (RFC 3416): the answer to a GetBulk over interface descriptions. */
function snmp(random: Random): Uint8Array {
  const binding = (index: number) =>
    ber(0x30, ber(6, [0x2b, 6, 1, 2, 1, 2, 2, 1, 2, index + 1]), ber(4, letters(random, random.between(20, 60))));
  const bindings = Array.from({ length: random.between(6, 18) }, (_, index) => binding(index));
  const requestId = [random.between(1, 127), ...random.bytes(3)];
  const response = ber(0xa2, ber(2, requestId), ber(2, [0]), ber(2, [0]), ber(0x30, ...bindings));
  return ber(0x30, ber(2, [1]), ber(4, text("public")), response);
}

/** Memcached's UDP frame: request id, sequence, number of datagrams, 0; a piece of a large value behind it. */
function memcached(random: Random): Uint8Array {
  const [total, sequence] = [random.between(100, 700), random.below(90)];
  const start = sequence === 0 ? text(`VALUE ${hex(random, 4)} 0 ${total * 1392}\r\n`) : [];
  return join(u16(random.u32()), u16(sequence), u16(total), u16(0), start, letters(random, 1380));
}

/** Connectionless LDAP (MS-ADTS 3.1.1.3): the root entry, then searchResultDone. */
function cldap(random: Random): Uint8Array {
  const domain = `DC=${hex(random, 4)},DC=local`;
  const attribute = (name: string, ...values: string[]) =>
    ber(0x30, ber(4, text(name)), ber(0x31, ...values.map((value) => ber(4, text(value)))));
  const id = ber(2, [random.between(1, 127)]);
  const oids = Array.from({ length: random.between(20, 36) }, (_, index) => `1.2.840.113556.1.4.${319 + index * 7}`);
  const entry = ber(
    0x64,
    ber(4, []),
    ber(
      0x30,
      attribute("currentTime", "20240101000000.0Z"),
      attribute("subschemaSubentry", `CN=Aggregate,CN=Schema,CN=Configuration,${domain}`),
      attribute("namingContexts", domain, `CN=Configuration,${domain}`, `CN=Schema,CN=Configuration,${domain}`),
      attribute("supportedControl", ...oids),
      attribute("dnsHostName", `dc1.${hex(random, 4)}.local`),
    ),
  );
  return join(ber(0x30, id, entry), ber(0x30, id, ber(0x65, [10, 1, 0, 4, 0, 4, 0])));
}

/** RFC 864: lines of 72 characters, each beginning one further in the alphabet. */
function chargen(random: Random): Uint8Array {
  const first = random.below(95);
  const lines = Array.from({ length: random.between(8, 19) }, (_, line) => {
    const characters = Array.from({ length: 72 }, (_, column) => 32 + ((first + line + column) % 95));
    return join(characters, [13, 10]);
  });
  return join(...lines);
}

function wsd(random: Random): Uint8Array {
  const id = () => `urn:uuid:${hex(random, 16)}`;
  const address = `http://10.${random.below(255)}.${random.below(255)}.${random.below(255)}/onvif/device_service`;
  return text(
    '<?xml version="1.0" encoding="UTF-8"?><SOAP-ENV:Envelope xmlns:SOAP-ENV="http://www.w3.org/2003/05/soap-envelope" ' +
      'xmlns:wsa="http://schemas.xmlsoap.org/ws/2004/08/addressing" ' +
      'xmlns:d="http://schemas.xmlsoap.org/ws/2005/04/discovery"><SOAP-ENV:Header>' +
      `<wsa:MessageID>${id()}</wsa:MessageID><wsa:RelatesTo>${id()}</wsa:RelatesTo>` +
      "<wsa:Action>http://schemas.xmlsoap.org/ws/2005/04/discovery/ProbeMatches</wsa:Action></SOAP-ENV:Header>" +
      `<SOAP-ENV:Body><d:ProbeMatches><d:ProbeMatch><wsa:EndpointReference><wsa:Address>${id()}</wsa:Address>` +
      "</wsa:EndpointReference><d:Types>dn:NetworkVideoTransmitter</d:Types>" +
      `<d:Scopes>onvif://www.onvif.org/name/${hex(random, random.between(4, 120))}</d:Scopes><d:XAddrs>${address}</d:XAddrs>` +
      "<d:MetadataVersion>1</d:MetadataVersion></d:ProbeMatch></d:ProbeMatches></SOAP-ENV:Body></SOAP-ENV:Envelope>",
  );
}

/** RFC 7252: 2.05 Content with the list of /.well-known/core in link format. */
function coap(random: Random): Uint8Array {
  const links = Array.from(
    { length: random.between(8, 24) },
    () => `</${hex(random, 6)}>;rt="oic.r.${hex(random, 4)}";ct=40`,
  );
  return join([0x64, 0x45], u16(random.u32()), random.bytes(4), [0xc1, 40, 0xff], text(links.join(",")));
}

/** IKEv1 main mode answer (RFC 2408) as a reflector sends it to a spoofed first message, many times over. */
function ike(random: Random): Uint8Array {
  const length = random.pick([84, 104, 108, 124, 164, 332, 436] as const);
  const header = [1, 0x10, 2, 0, ...u32(0), ...u32(length)];
  return join(random.bytes(16), header, [0, 0], u16(length - 28), u32(1), u32(1), random.bytes(length - 40));
}

/** A hard reset of an OpenVPN server, opcode 8. */
function openvpn(random: Random): Uint8Array {
  return join(
    [0x40],
    random.bytes(8),
    random.pick([[1, 0, 0, 0, 0], [0]] as const),
    random.bytes(random.between(12, 58)),
  );
}

import type { SeedPeer } from "@flowtriq/mitigation/facts";
import { seedPeer } from "./source.ts";

/**
 * Clients in a status report of OpenVPN, versions 1 to 3 (openvpn(8), --status-version). Undefined: not a whole report of a
 * server that serves many clients.
 */
export class OpenvpnStatus {
  readonly #text: Buffer;
  readonly #rows: [number, number][] = [];
  readonly #version: 1 | 2 | 3;

  private constructor(text: Buffer, version: 1 | 2 | 3) {
    this.#text = text;
    this.#version = version;
  }

  static read(text: Buffer): OpenvpnStatus | undefined {
    const version = versionOf(text);
    if (version === undefined || !/(^|\n)END\r?\n?$/.test(text.toString("latin1", Math.max(0, text.length - 8))))
      return undefined;
    const status = new OpenvpnStatus(text, version);
    return (version === 1 ? status.#findFirstForm() : status.#findRows()) ? status : undefined;
  }

  /** Version 1: lines between two titles. */
  #findFirstForm(): boolean {
    const titles = this.#text.indexOf("\nCommon Name,");
    const end = this.#text.indexOf("\nROUTING TABLE", titles);
    if (titles < 0 || end < 0) return false;
    for (let at = this.#lineEnd(titles + 1) + 1; at < end; at = this.#lineEnd(at) + 1) {
      this.#rows.push([at, this.#lineEnd(at)]);
    }
    return true;
  }

  /** Versions 2 and 3: lines that say what they are. */
  #findRows(): boolean {
    const mark = `\nCLIENT_LIST${SEPARATORS[this.#version]}`;
    for (let at = this.#text.indexOf(mark); at >= 0; at = this.#text.indexOf(mark, at + 1)) {
      this.#rows.push([at + mark.length, this.#lineEnd(at + 1)]);
    }
    return this.#text.includes("\nHEADER");
  }

  #lineEnd(at: number): number {
    const end = this.#text.indexOf("\n", at);
    return end < 0 ? this.#text.length : end;
  }

  /** Clients that have logged in. */
  count(): number {
    let clients = 0;
    for (const [from, to] of this.#rows) if (this.#isLoggedIn(from, to)) clients += 1;
    return clients;
  }

  /** Where they are, as far as the report has a port: that of an IPv6 address is not in it before version 2.7. */
  peers(): SeedPeer[] {
    return this.#rows.flatMap(([from, to]) => {
      const peer = this.#isLoggedIn(from, to) && realAddress(this.#fields(from, to)[1] ?? "");
      return peer ? [peer] : [];
    });
  }

  /**
   * Whoever has not finished the handshake has no name yet, and a flood may bring many of them. Where names are not asked for
   * at all, the address inside the tunnel tells.
   */
  #isLoggedIn(from: number, to: number): boolean {
    if (this.#text.toString("latin1", from, from + UNNAMED.length) !== UNNAMED) return true;
    const [, real, inner, inner6] = this.#fields(from, to);
    // Before version 2.4 the second of these was a number of bytes.
    if (this.#version > 1) return Boolean(inner || inner6?.includes(":"));
    return this.#text.indexOf(`,UNDEF,${real},`, to) >= 0;
  }

  #fields(from: number, to: number): string[] {
    return this.#text.toString("latin1", from, to).trimEnd().split(SEPARATORS[this.#version]);
  }
}

const UNNAMED = "UNDEF";
const SEPARATORS = { 1: ",", 2: ",", 3: "\t" } as const;

function versionOf(text: Buffer): 1 | 2 | 3 | undefined {
  const head = text.toString("latin1", 0, 32);
  if (head.startsWith("OpenVPN CLIENT LIST")) return 1;
  if (head.startsWith("TITLE,")) return 2;
  return head.startsWith("TITLE\t") ? 3 : undefined;
}

/** `192.0.2.7:40532`, in version 2.7 also `udp6:[2001:db8::7]:40532`; over TCP nothing needs to be known beforehand. */
function realAddress(text: string): SeedPeer | undefined {
  const found = /^(?:udp[46]?:)?(?:\[([0-9a-f:.]+)\]|([0-9.]+)):(\d{1,5})$/i.exec(text);
  return found ? seedPeer(found[1] ?? found[2]!, Number(found[3])) : undefined;
}

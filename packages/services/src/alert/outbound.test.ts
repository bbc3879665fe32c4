import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { type Receiver, startReceiver } from "@flowtriq/fakes/receiver";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { isAllowed, judge, type Outbound, openOutbound, targetUrl } from "./outbound.ts";

let receiver: Receiver;
let port: string;
const opened: Outbound[] = [];
const open = (options: Parameters<typeof openOutbound>[0]) => {
  const outbound = openOutbound(options);
  opened.push(outbound);
  return outbound;
};
beforeEach(async () => {
  receiver = await startReceiver();
  port = new URL(receiver.url).port;
});
afterEach(async () => {
  await Promise.all(opened.splice(0).map((outbound) => outbound.close()));
  await receiver.stop();
});

const post = (url: string) => ({
  method: "POST" as const,
  url,
  headers: { "content-type": "application/json" },
  body: '{"text":"x"}',
});

/** Internal addresses in the forms that filters forget. Those without a port in them get the receiver's. */
const HOSTILE_HOSTS = [
  "127.0.0.1",
  "127.1",
  "127.0.1",
  "127.255.255.254",
  "2130706433",
  "0x7f000001",
  "0x7f.0.0.1",
  "0177.0.0.1",
  "017700000001",
  "0",
  "0.0.0.0",
  "localhost",
  "localhost.",
  "LOCALHOST",
  "127.0.0.1.",
  "１２７.０.０.１",
  "①②⑦.⓪.⓪.①",
  "%31%32%37.0.0.1",
  "10.0.0.1",
  "172.16.0.1",
  "172.31.255.255",
  "192.168.1.1",
  "169.254.169.254",
  "2852039166",
  "100.100.100.200",
  "192.0.0.192",
  "168.63.129.16",
  "198.18.0.1",
  "224.0.0.1",
  "255.255.255.255",
  "240.0.0.1",
  "[::1]",
  "[::]",
  "[0:0:0:0:0:0:0:1]",
  "[::ffff:127.0.0.1]",
  "[::ffff:7f00:1]",
  "[::ffff:a9fe:a9fe]",
  "[::127.0.0.1]",
  "[::ffff:0:127.0.0.1]",
  "[64:ff9b::7f00:1]",
  "[64:ff9b:1::7f00:1]",
  "[2002:7f00:1::]",
  "[2001:0:0:0:0:0:80ff:fffe]",
  "[fe80::1]",
  "[fec0::1]",
  "[fc00::1]",
  "[fd00:ec2::254]",
  "[ff02::1]",
  "[100::1]",
  "[2001:db8::1]",
  "[4000::1]",
];

/** Names of a hostile zone, and what its name server says. */
const HOSTILE_NAMES: Record<string, string[]> = {
  "loopback.attacker.example": ["127.0.0.1"],
  "loopback6.attacker.example": ["::1"],
  "mapped.attacker.example": ["::ffff:127.0.0.1"],
  "mapped-hex.attacker.example": ["::ffff:7f00:1"],
  "private.attacker.example": ["10.0.0.1"],
  "metadata.attacker.example": ["169.254.169.254"],
  "metadata6.attacker.example": ["fd00:ec2::254"],
  "nat64.attacker.example": ["64:ff9b::a9fe:a9fe"],
  "mixed.attacker.example": ["1.1.1.1", "127.0.0.1"],
  "mixed6.attacker.example": ["2606:4700:4700::1111", "::1"],
  "octal.attacker.example": ["0177.0.0.1"],
  "nonsense.attacker.example": ["not an address"],
  "scoped.attacker.example": ["fe80::1%lo"],
  "wildcard.attacker.example": ["0.0.0.0"],
};

describe("internal addresses", () => {
  const urls = [
    ...HOSTILE_HOSTS.flatMap((host) => [`https://${host}:PORT/`, `http://${host}:PORT/`]),
    ...Object.keys(HOSTILE_NAMES).map((host) => `https://${host}:PORT/`),
    "https://user:secret@127.0.0.1:PORT/",
    "https://1.1.1.1@127.0.0.1:PORT/",
    "https://127.0.0.1:PORT#@1.1.1.1/",
    "https://127.0.0.1:PORT\\@1.1.1.1/",
    "ftp://127.0.0.1:PORT/",
    "file:///etc/passwd",
    "gopher://127.0.0.1:PORT/_x",
    "data:text/plain,x",
    "//127.0.0.1:PORT/",
    "https://",
    "",
  ];

  test.each(urls)("%s is refused and not connected to", async (url) => {
    const outbound = open({ allowLoopback: false, resolve: async (name) => HOSTILE_NAMES[name] ?? [] });
    const outcome = await outbound.send(post(url.replace("PORT", port)));
    expect(outcome.result).toBe("refused");
    expect(receiver.connections()).toBe(0);
  });

  test("a name that turns internal after it was saved is refused when it is connected to", async () => {
    const answers = [["1.1.1.1"], ["127.0.0.1"]];
    const url = `https://rebinding.attacker.example:${port}/`;
    expect(targetUrl({ allowLoopback: false }).safeParse(url).success).toBe(true);
    const asked: string[] = [];
    const resolve = async (name: string) => {
      asked.push(name);
      return answers.at(-1) ?? [];
    };
    const outcome = await open({ allowLoopback: false, resolve }).send(post(url));
    expect(outcome).toMatchObject({ result: "refused" });
    expect(asked).toEqual(["rebinding.attacker.example"]);
    expect(receiver.connections()).toBe(0);
  });

  test("a deployment that allows loopback allows nothing else internal", async () => {
    for (const address of ["10.0.0.1", "169.254.169.254", "fd00::1", "::ffff:10.0.0.1", "0.0.0.0", "::"])
      expect([address, isAllowed(address, true)]).toEqual([address, false]);
    expect(isAllowed("127.0.0.1", true)).toBe(true);
    expect(isAllowed("::1", true)).toBe(true);
  });

  test.each(["1.1.1.1", "8.8.8.8", "2606:4700:4700::1111", "2a00:1450:4001:81b::200e"])("%s is public", (address) => {
    expect(isAllowed(address, false)).toBe(true);
  });
});

describe("the answer", () => {
  const local = () => open({ allowLoopback: true });

  test("a message that is taken is delivered", async () => {
    expect(await local().send(post(receiver.slackUrl))).toEqual({ result: "delivered", status: 200 });
  });

  test.each([301, 302, 303, 307, 308])("a redirect (%i) is not followed", async (status) => {
    const other = await startReceiver();
    try {
      receiver.misbehave("slack", 1, { do: "answer", status, headers: { location: other.slackUrl } });
      expect(await local().send(post(receiver.slackUrl))).toMatchObject({ result: "refused", status });
      expect(other.connections()).toBe(0);
    } finally {
      await other.stop();
    }
  });

  test("what is not found is refused with the receiver's own word", async () => {
    expect(await local().send(post(`${receiver.url}/services/gone`))).toEqual({
      result: "refused",
      status: 404,
      reason: "answered 404: no_service",
    });
  });

  test("an endless answer is cut off", async () => {
    receiver.misbehave("slack", 1, { do: "answer", status: 500, body: "x".repeat(5_000_000) });
    const outcome = await local().send(post(receiver.slackUrl));
    expect(outcome).toMatchObject({ result: "retry", status: 500 });
    expect(JSON.stringify(outcome).length).toBeLessThan(400);
  });

  test("a connection that is cut is tried again later", async () => {
    receiver.misbehave("slack", 1, { do: "hang up" });
    expect(await local().send(post(receiver.slackUrl))).toMatchObject({ result: "retry" });
  });

  test("a port where nobody listens is tried again later", async () => {
    await receiver.stop();
    expect(await local().send(post(receiver.slackUrl))).toMatchObject({ result: "retry" });
  });

  test("a name without addresses is tried again later", async () => {
    const outbound = open({ allowLoopback: false, resolve: async () => [] });
    expect(await outbound.send(post("https://gone.example/"))).toMatchObject({ result: "retry" });
  });

  test("a certificate that nobody vouches for is not trusted", async () => {
    const requests: unknown[] = [];
    const server = createTlsServer(SELF_SIGNED, (request) => requests.push(request));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    try {
      const { port: tlsPort } = server.address() as AddressInfo;
      expect(await local().send(post(`https://127.0.0.1:${tlsPort}/`))).toEqual({
        result: "retry",
        reason: "DEPTH_ZERO_SELF_SIGNED_CERT: self-signed certificate",
      });
      expect(requests).toHaveLength(0);
    } finally {
      server.close();
    }
  });

  test.each([
    [200, undefined, { result: "delivered" }],
    [204, undefined, { result: "delivered" }],
    [400, undefined, { result: "refused" }],
    [401, undefined, { result: "refused" }],
    [410, undefined, { result: "refused" }],
    [413, undefined, { result: "refused" }],
    [408, undefined, { result: "retry" }],
    [429, undefined, { result: "retry" }],
    [429, "7", { result: "retry", retryAfterMs: 7_000 }],
    [503, "Sun, 06 Nov 1994 08:50:07 GMT", { result: "retry", retryAfterMs: 30_000 }],
    [503, "Sun, 06 Nov 1994 08:00:00 GMT", { result: "retry", retryAfterMs: 0 }],
    [503, "soon", { result: "retry" }],
    [500, "-5", { result: "retry" }],
  ])("%i with Retry-After %s is %j", (status, retryAfter, expected) => {
    const outcome = judge(status, retryAfter, "", new Date("1994-11-06T08:49:37Z"));
    expect(outcome).toMatchObject(expected);
    if (!("retryAfterMs" in expected)) expect(outcome).not.toHaveProperty("retryAfterMs");
  });
});

describe("addresses in settings", () => {
  test.each(["https://hooks.slack.com/services/T/B/x", "https://hooks.example:8443/a?b=c"])("%s is taken", (url) => {
    expect(targetUrl({ allowLoopback: false }).safeParse(url).success).toBe(true);
  });

  test.each([
    "http://hooks.slack.com/",
    "http://127.0.0.1/",
    "https://127.0.0.1/",
    "https://[::1]/",
    "https://a:b@hooks.example/",
    "javascript:alert(1)",
    `https://hooks.example/${"a".repeat(2048)}`,
  ])("%s is refused", (url) => {
    expect(targetUrl({ allowLoopback: false }).safeParse(url).success).toBe(false);
  });

  test("http is for loopback alone, and only where the deployment says so", () => {
    const schema = targetUrl({ allowLoopback: true });
    expect(schema.safeParse("http://127.0.0.1:8080/x").success).toBe(true);
    expect(schema.safeParse("http://localhost:8080/x").success).toBe(true);
    expect(schema.safeParse("http://hooks.example/").success).toBe(false);
    expect(schema.safeParse("http://10.0.0.1/").success).toBe(false);
  });
});

/** Made for this test, for 127.0.0.1, valid for a hundred years, trusted by nobody. */
const SELF_SIGNED = {
  key: `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgKB7J3S8fPfWNahSG
qBP8p4pFF7Vj4n7Er3CYMEmx5/+hRANCAAS92Kdpx3uGx9hyFxQp8Hl5gjBX7cWE
aljpSG76YUIKAHhkZ2srQDysr/FJEQEWff1rjLxjBIkxuj5LnnxHrhrW
-----END PRIVATE KEY-----`,
  cert: `-----BEGIN CERTIFICATE-----
MIIBkDCCATagAwIBAgIUERQFNPpnWvc0Xzhn6HaTIuXXB0swCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJMTI3LjAuMC4xMCAXDTI2MTEyMjE3MTg1MloYDzIxMjYxMDI5
MTcxODUyWjAUMRIwEAYDVQQDDAkxMjcuMC4wLjEwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAAS92Kdpx3uGx9hyFxQp8Hl5gjBX7cWEaljpSG76YUIKAHhkZ2srQDys
r/FJEQEWff1rjLxjBIkxuj5LnnxHrhrWo2QwYjAdBgNVHQ4EFgQUzRQKWZYSKvbW
tlHFzvRclHwNg3QwHwYDVR0jBBgwFoAUzRQKWZYSKvbWtlHFzvRclHwNg3QwDwYD
VR0TAQH/BAUwAwEB/zAPBgNVHREECDAGhwR/AAABMAoGCCqGSM49BAMCA0gAMEUC
IQDBPUY5sj+DwQABbHxbRisyrQG7HK4vjBW+uIBEpPbjewIgPNYPoRVmOv+uFvta
jnHhWO0yv9YvPUZySKBJYbz64NM=
-----END CERTIFICATE-----`,
};

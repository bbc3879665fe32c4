import { execFileSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { LINK, parseAddress, readPacket } from "@flowtriq/detection/packet";
import { pcapHead, readPcap } from "@flowtriq/detection/pcap";
import type { AgentConfig } from "@flowtriq/protocol/config";
import type { AgentEventOf } from "@flowtriq/protocol/event";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { bytes, udp } from "../../detection/test/craft.ts";
import { Captures } from "./captures.ts";
import type { TakePacket } from "./nflog-message.ts";

type Written = Omit<AgentEventOf<"capture.written">, "id" | "at" | "event">;
const LIMITS: AgentConfig["captures"] = { maxFiles: 50, maxMegabytes: 100, payloadBytes: 0 };
const START = 1_700_000_000_000;
const SECOND = 1_000;
const attackOf = (n: number, firstPacketAt = START) => ({ id: `atk_${String(n).padStart(10, "0")}`, firstPacketAt });

let dir: string;
beforeEach(() => {
  dir = fs.mkdtempSync(path.join(os.tmpdir(), "captures-"));
});
afterEach(() => fs.rmSync(dir, { recursive: true, force: true }));

const datagram = (port: number) =>
  udp({
    ...{ from: parseAddress("192.0.2.1")!, to: parseAddress("198.51.100.7")! },
    ...{ sport: port, dport: 51820, payload: bytes("payload") },
  });
/** Source ports, which tell one packet from another. */
const portsIn = (file: string) =>
  [...readPcap(fs.readFileSync(file))].map((record) => readPacket(record.bytes, LINK.raw)!.sourcePort);

/** Captures with a kernel that records what the test says. */
function world(limits = LIMITS, directory = path.join(dir, "captures")) {
  const waiting: { at: number; port: number }[] = [];
  const written: Written[] = [];
  const trouble: string[] = [];
  const recorded = {
    drain(take: TakePacket) {
      for (const { at, port } of waiting.splice(0)) take(at, datagram(port), 0, datagram(port).length);
    },
    close() {},
  };
  const captures = new Captures({
    ...{ directory, limits, sampleBytes: 192, recorded },
    onWritten: (event) => written.push(event),
    onTrouble: (message) => trouble.push(message),
  });
  return {
    captures,
    written,
    trouble,
    directory,
    record: (at: number, port: number) => waiting.push({ at, port }),
    files: () => fs.readdirSync(directory).sort(),
    file: (n: number) => path.join(directory, `${attackOf(n).id}.pcap`),
    /** A second of as many samples as there may be, and the writing of what was due in it. */
    async sampledSecond(port: number, second: number) {
      for (let n = 0; n < 150; n++) captures.sample(START + second * SECOND, datagram(port));
      captures.tick(START + second * SECOND + 999);
      await captures.settled();
    },
    writtenOf: async (n: number) => {
      await expect.poll(() => written.some(({ attack }) => attack === attackOf(n).id)).toBe(true);
      return written.find(({ attack }) => attack === attackOf(n).id)!;
    },
  };
}

test("a capture begins with the traffic before the attack and ends with it, in order, for its owner alone", async () => {
  const { captures, record, writtenOf, file, files } = world();
  for (let second = -20; second < 0; second++) {
    record(START + second * SECOND, 100 + second);
    captures.tick(START + second * SECOND + 900);
  }
  captures.sample(START + 5, datagram(200));
  captures.begin(attackOf(1), START + 10);
  for (let second = 1; second <= 5; second++) {
    captures.sample(START + second * SECOND, datagram(200 + second));
    // What the kernel had gathered comes later than the samples, and belongs before them.
    record(START + second * SECOND - 500, 300 + second);
    captures.tick(START + second * SECOND + 10);
  }
  captures.end(attackOf(1));
  const event = await writtenOf(1);
  expect(event).toEqual({
    ...{ attack: attackOf(1).id, file: `${attackOf(1).id}.pcap`, packets: 31, secondsBefore: 20, complete: true },
    bytes: fs.statSync(file(1)).size,
  });
  const during = [1, 2, 3, 4, 5].flatMap((n) => [300 + n, 200 + n]);
  expect(portsIn(file(1))).toEqual([...Array.from({ length: 20 }, (_, n) => 80 + n), 200, ...during]);
  expect(fs.statSync(file(1)).mode & 0o777).toBe(0o600);
  expect(fs.statSync(path.dirname(file(1))).mode & 0o777).toBe(0o700);
  expect(files()).toEqual([`${attackOf(1).id}.pcap`]);
});

test("ten seconds of the busiest traffic stay before the attack, however many samples a trip hands up", async () => {
  const { captures, record, writtenOf } = world();
  for (let n = 0; n < 20 * 60; n++) {
    record(START - 60 * SECOND + n * 50, 1);
    captures.tick(START - 60 * SECOND + n * 50);
    captures.sample(START - 60 * SECOND + n * 50, datagram(2));
  }
  captures.begin(attackOf(1), START);
  captures.end(attackOf(1));
  expect((await writtenOf(1)).secondsBefore).toBeGreaterThan(10);
});

test("where little arrives it begins half a minute before the attack, not hours", async () => {
  const { captures, record, writtenOf } = world();
  for (const minutes of [60, 10, 0.25]) record(START - minutes * 60 * SECOND, 1);
  captures.tick(START);
  captures.begin(attackOf(1), START);
  captures.end(attackOf(1));
  expect(await writtenOf(1)).toMatchObject({ packets: 1, secondsBefore: 15 });
});

test("an attack without an end in sight grows its file no further than the bound", async () => {
  const place = world();
  place.captures.begin(attackOf(1), START);
  for (let second = 0; second < 400; second++) await place.sampledSecond(1, second);
  place.captures.end(attackOf(1));
  expect(await place.writtenOf(1)).toMatchObject({ packets: 50_000, complete: false });
  expect(place.trouble).toEqual([]);
});

describe("the folder", () => {
  const capture = async (place: ReturnType<typeof world>, n: number, packets = 100) => {
    place.captures.begin(attackOf(n), START);
    for (let i = 0; i < packets; i++) place.captures.sample(START + n, datagram(n));
    place.captures.end(attackOf(n));
    return place.writtenOf(n);
  };

  test("keeps so many files, the newest, and nothing of others is touched", async () => {
    const place = world({ ...LIMITS, maxFiles: 3 });
    fs.writeFileSync(path.join(place.directory, "mine.pcap"), "operator's");
    for (let n = 1; n <= 5; n++) await capture(place, n);
    expect(place.files()).toEqual([...[3, 4, 5].map((n) => `${attackOf(n).id}.pcap`), "mine.pcap"]);
    // A smaller bound holds from the next start on.
    expect(world({ ...LIMITS, maxFiles: 1 }).files()).toEqual([`${attackOf(5).id}.pcap`, "mine.pcap"]);
  });

  test("keeps so many bytes in all, the growing ones included", async () => {
    const place = world({ ...LIMITS, maxMegabytes: 1 });
    for (let n = 1; n <= 4; n++) {
      place.captures.begin(attackOf(n), START);
      for (let second = 0; second < 60; second++) {
        await place.sampledSecond(n, n * 1_000 + second);
        const size = place.files().reduce((sum, name) => sum + fs.statSync(path.join(place.directory, name)).size, 0);
        expect(size).toBeLessThanOrEqual(1e6);
      }
      place.captures.end(attackOf(n));
      expect((await place.writtenOf(n)).bytes).toBeGreaterThan(100_000);
    }
    expect(place.files()).toContain(`${attackOf(4).id}.pcap`);
    expect(place.files()).not.toContain(`${attackOf(1).id}.pcap`);
    expect(place.trouble).toEqual([]);
  });

  test("what a killed agent left is finished, cut to whole records; of an attack that goes on, the file goes on", async () => {
    const { directory } = world();
    const part = (n: number) => path.join(directory, `${attackOf(n).id}.pcap.part`);
    const dead = world();
    for (const n of [1, 2]) dead.captures.begin(attackOf(n), START);
    dead.captures.sample(START - 3 * SECOND, datagram(11));
    dead.captures.sample(START, datagram(12));
    dead.captures.close();
    for (const n of [1, 2]) fs.appendFileSync(part(n), fs.readFileSync(part(n)).subarray(24, 45));
    fs.writeFileSync(part(3), "no capture");
    fs.writeFileSync(part(4), pcapHead(LINK.raw, 128, "micro"));

    const { captures, written, writtenOf, files, file } = world();
    captures.recover([attackOf(1), attackOf(2)], [attackOf(1).id], START);
    expect(written).toEqual([
      {
        ...{ attack: attackOf(2).id, file: `${attackOf(2).id}.pcap`, packets: 2, complete: false, secondsBefore: 3 },
        bytes: fs.statSync(file(2)).size,
      },
    ]);
    expect(portsIn(file(2))).toEqual([11, 12]);
    expect(files()).toEqual([`${attackOf(1).id}.pcap.part`, `${attackOf(2).id}.pcap`]);
    captures.sample(START + SECOND, datagram(99));
    captures.end(attackOf(1));
    expect(await writtenOf(1)).toMatchObject({ packets: 3, complete: false, secondsBefore: 3 });
    expect(portsIn(file(1))).toEqual([11, 12, 99]);
    expect(files()).toEqual([`${attackOf(1).id}.pcap`, `${attackOf(2).id}.pcap`]);
  });

  test("of an attack that is taken over without a file, one begins", async () => {
    const { captures, writtenOf } = world();
    captures.recover([attackOf(1)], [attackOf(1).id], START + SECOND);
    captures.sample(START + 2 * SECOND, datagram(1));
    captures.end(attackOf(1));
    expect(await writtenOf(1)).toMatchObject({ packets: 1, secondsBefore: 0, complete: false });
  });
});

// A file system of a few pages is root's to mount.
describe.skipIf(process.getuid?.() !== 0)("on a full disk", () => {
  test("trouble is told once, nothing is thrown, and the file ends with a whole record", async () => {
    const disk = path.join(dir, "disk");
    fs.mkdirSync(disk);
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=32k", "tmpfs", disk]);
    try {
      const { captures, sampledSecond, trouble, writtenOf, file } = world(LIMITS, path.join(disk, "captures"));
      captures.begin(attackOf(1), START);
      for (let second = 0; second < 10; second++) await sampledSecond(1, second);
      captures.end(attackOf(1));
      const { packets, complete } = await writtenOf(1);
      expect(complete).toBe(false);
      const whole = readPcap(fs.readFileSync(file(1)));
      expect([...whole]).toHaveLength(packets);
      expect(whole.truncated).toBeUndefined();
      expect(packets).toBeGreaterThan(100);
      expect(trouble).toHaveLength(1);
      expect(trouble[0]).toMatch(/no space/i);
    } finally {
      execFileSync("umount", ["-l", disk]);
    }
  });
});

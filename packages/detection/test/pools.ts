import { LINK, type Packet, readPacket } from "../src/packet.ts";
import { attacks } from "./attacks.ts";
import { be16, be32, bytes, udp } from "./craft.ts";
import { type Ordinary, ordinary } from "./ordinary.ts";
import { Script, type World } from "./world.ts";

/** Packets to take samples from, as a flow wants them. */
export type Pool = (n: number, at: number) => Packet;

const SNAP = 192;

/** What arrives in a generated script, again and again. */
export function poolOf(write: (script: Script) => void): Pool {
  const script = new Script(SNAP);
  write(script);
  const packets = script.events.filter(({ sent }) => !sent).map(({ packet }) => packet);
  return (n) => packets[n % packets.length]!;
}

export const attackPool = (world: World, vector: keyof typeof attacks): Pool =>
  poolOf((script) => attacks[vector](world, script, 2_000, 0, 1_000));

export const ordinaryPool = (world: World, name: string): Pool =>
  poolOf((script) => (ordinary[name] as Ordinary)(world, script, 2_000, 0, 1_000));

const read = (raw: Uint8Array): Packet => readPacket(raw.subarray(0, SNAP), LINK.raw, raw.length)!;

/** Clients with an address and a port of their own, who open sessions in turn, each with a valid handshake. */
export function clients(world: World, number: number, protocol: "wireguard" | "openvpn" | "ike"): Pool {
  const all = Array.from({ length: number }, () => ({ from: world.client(), sport: world.port(), ttl: world.ttl() }));
  return (n) => {
    const client = all[n % number]!;
    return read(
      udp({ ...client, to: world.host, dport: world.vpn(protocol), payload: opening(world, protocol, n % number) }),
    );
  };
}

/** Openings that nobody can be told from a client's by, each from an address of its own. */
export const strangers =
  (world: World, protocol: "wireguard" | "openvpn" | "ike"): Pool =>
  (n) =>
    read(
      udp({
        from: world.client(),
        to: world.host,
        ttl: 40 + (n % 20),
        sport: world.port(),
        dport: world.vpn(protocol),
        payload: opening(world, protocol, n),
      }),
    );

/** `session`: a client that repeats itself keeps its session's number. */
function opening(world: World, protocol: "wireguard" | "openvpn" | "ike", session: number): Uint8Array {
  const id = bytes(be32(session + 1), be32(Math.imul(session + 1, 0x9e3779b1) >>> 0));
  if (protocol === "wireguard") {
    return bytes(world.sign(bytes([1, 0, 0, 0], id.subarray(4), world.bytes(108))), new Uint8Array(16));
  }
  if (protocol === "openvpn") return bytes(0x38, id, world.bytes(20), be32(1), be32(session), [0], be32(0));
  const body = world.bytes(200);
  return bytes(id, new Uint8Array(8), [33, 0x20, 34, 8], be32(0), be32(28 + body.length), body, be16(0).slice(2));
}

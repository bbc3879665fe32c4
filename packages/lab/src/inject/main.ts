/**
 * Makes an interface of this network namespace receive packets, many and cheaply, and says what one cost: run by Bun, its request
 * is the first argument. No other socket or device is in the way, and the kernel's own clock leaves out when others ran.
 */
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { writeSync } from "node:fs";
import { InjectRequest } from "./request.ts";
import { loadProgram, openInterface, VERDICT } from "./xdp.ts";

const request = InjectRequest.parse(JSON.parse(process.argv[2] ?? "null"));
const frame = new Uint8Array(Buffer.from(request.frame, "base64"));
if (request.listen !== undefined) {
  const socket = createSocket("udp4");
  socket.bind(request.listen);
  await once(socket, "listening");
}
const verdict = request.fate === "receive" ? VERDICT.pass : VERDICT.drop;
const program = loadProgram(verdict, request.randomSource ? "random" : "as_it_is");
const nsPerPacket = openInterface(request.interface)(program, frame, request.packets);
writeSync(1, `${JSON.stringify({ nsPerPacket })}\n`);
process.exit(0);

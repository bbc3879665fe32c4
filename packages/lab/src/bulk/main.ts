/** One end of a bulk transfer, run by Bun: `receive ADDRESS PORT` or `send ADDRESS PORT SECONDS`. Ends with standard input. */
import { connect, createServer, type Socket } from "node:net";

const [role, address, port, seconds] = process.argv.slice(2);
const say = (line: object) => process.stdout.write(`${JSON.stringify(line)}\n`);

if (role === "receive") {
  let bytes = 0;
  const server = createServer((socket) => {
    socket.on("data", (data) => {
      bytes += data.length;
    });
    socket.on("error", () => {});
    socket.on("close", () => {
      say({ event: "done", bytes });
      process.exit(0);
    });
  });
  server.listen(Number(port), address, () => say({ event: "ready" }));
} else {
  const socket = connect(Number(port), address!);
  const block = Buffer.alloc(1 << 16, 0x5a);
  const stopAt = performance.now() + Number(seconds) * 1000;
  socket.on("connect", () => pour(socket));
  socket.on("drain", () => pour(socket));
  socket.on("error", (error) => {
    say({ event: "failed", reason: error.message });
    process.exit(1);
  });
  function pour(to: Socket) {
    while (performance.now() < stopAt) if (!to.write(block)) return;
    to.end();
  }
}
process.stdin.resume().on("end", () => process.exit(0));

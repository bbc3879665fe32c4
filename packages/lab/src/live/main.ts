/** One machine's end of its conversations, run by Bun: see request.ts. Ends with standard input. */
import { randomUUID } from "node:crypto";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { createInterface } from "node:readline";
import { type Conversation, type LiveAnswer, LiveCommand, LiveRequest } from "./request.ts";

/** A lost segment is sent again after 0.2 s, a lost connection request after 1 s: a rule that lets none pass is meant here. */
const PATIENCE_MS = 5_000;
/** A busy machine may lose a datagram on its own; what is dropped by a rule is dropped three times. */
const TRIES = 3;
const TRY_MS = 1_500;

type Ask = () => Promise<{ answered: boolean; repeats: number }>;

const request = LiveRequest.parse(JSON.parse(process.argv[2] ?? "null"));
const standing = new Map<string, Ask>();

await Promise.all(request.echo.map(({ transport, port }) => (transport === "tcp" ? echoTcp(port) : echoUdp(port))));
say({ silent: [], repeats: 0 });
createInterface({ input: process.stdin })
  .on("line", (line) => void obey(LiveCommand.parse(JSON.parse(line))))
  .on("close", () => process.exit(0));

async function obey(command: LiveCommand): Promise<void> {
  if (command.command === "connect") {
    for (const conversation of request.conversations.filter(({ kind }) => kind === "standing"))
      standing.set(conversation.name, await begin(conversation));
    say({ silent: [], repeats: 0 });
    return;
  }
  const wanted = request.conversations.filter(({ name }) => command.only?.includes(name) ?? true);
  const answers = await Promise.all(wanted.map(async (one) => ({ name: one.name, ...(await ask(one)) })));
  say({
    silent: answers.filter(({ answered }) => !answered).map(({ name }) => name),
    repeats: answers.reduce((sum, { repeats }) => sum + repeats, 0),
  });
}

async function ask(conversation: Conversation): Promise<{ answered: boolean; repeats: number }> {
  if (conversation.kind === "standing") return standing.get(conversation.name)!();
  try {
    return await (await begin(conversation))(true);
  } catch {
    return { answered: false, repeats: 0 };
  }
}

const begin = (conversation: Conversation): Promise<(last?: boolean) => ReturnType<Ask>> =>
  conversation.transport === "tcp" ? beginTcp(conversation) : beginUdp(conversation);

async function beginTcp({ to, port, from }: Conversation) {
  const socket = connect({ host: to, port, ...(from ? { localAddress: from } : {}) });
  // Errors show as silence.
  socket.on("error", () => {});
  socket.setNoDelay(true);
  await Promise.race([once(socket, "connect"), late(PATIENCE_MS)]);
  let heard = "";
  socket.setEncoding("latin1").on("data", (text) => {
    heard += text;
    socket.emit("heard");
  });
  return async (last = false) => {
    const words = randomUUID();
    heard = "";
    socket.write(words);
    const answered = await until(() => heard.includes(words), socket, "heard", PATIENCE_MS);
    if (last) socket.destroy();
    return { answered, repeats: 0 };
  };
}

async function beginUdp({ to, port, from, fromPort = 0 }: Conversation) {
  const socket = createSocket(to.includes(":") ? "udp6" : "udp4");
  socket.on("error", () => {});
  socket.bind(fromPort, from);
  await once(socket, "listening");
  let heard = "";
  socket.on("message", (message) => {
    heard = message.toString("latin1");
    socket.emit("heard");
  });
  return async (last = false) => {
    const words = randomUUID();
    let answered = false;
    let tries = 0;
    for (; tries < TRIES && !answered; tries++) {
      socket.send(words, port, to);
      answered = await until(() => heard === words, socket, "heard", TRY_MS);
    }
    if (last) socket.close();
    return { answered, repeats: tries - 1 };
  };
}

/** True as soon as `is` holds, looked at after each `event`; false when the time is over. */
function until(is: () => boolean, source: NodeJS.EventEmitter, event: string, ms: number): Promise<boolean> {
  return new Promise((resolve) => {
    const done = (answer: boolean) => {
      clearTimeout(timer);
      source.off(event, look);
      resolve(answer);
    };
    const look = () => {
      if (is()) done(true);
    };
    const timer = setTimeout(() => done(false), ms);
    source.on(event, look);
    look();
  });
}

const late = (ms: number) =>
  new Promise((_, reject) => {
    setTimeout(() => reject(new Error("no connection")), ms).unref();
  });

async function echoTcp(port: number): Promise<void> {
  const server = createServer((socket: Socket) => {
    socket.on("error", () => socket.destroy());
    socket.setNoDelay(true);
    socket.pipe(socket);
  });
  server.listen(port, "::");
  await once(server, "listening");
}

async function echoUdp(port: number): Promise<void> {
  for (const type of ["udp4", "udp6"] as const) {
    const socket = createSocket({ type, ...(type === "udp6" ? { ipv6Only: true } : {}) });
    // An attack in our name brings refusals that are not for us.
    socket.on("error", () => {});
    socket.on("message", (message, { address, port: from }) => socket.send(message, from, address));
    socket.bind(port);
    await once(socket, "listening");
  }
}

function say(answer: LiveAnswer): void {
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}

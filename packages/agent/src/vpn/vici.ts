import net from "node:net";
import { Unreadable } from "./source.ts";

/** A message of strongSwan's control protocol: values, lists and sections by name. */
export interface ViciMessage {
  values: Map<string, string>;
  lists: Map<string, string[]>;
  sections: Map<string, ViciMessage>;
}

/** Kinds of packets and of message elements: src/libcharon/plugins/vici/README.md of strongSwan. */
const PACKET = {
  request: 0,
  response: 1,
  unknownCommand: 2,
  register: 3,
  confirm: 5,
  unknownEvent: 6,
  event: 7,
} as const;
const ELEMENT = { sectionStart: 1, sectionEnd: 2, value: 3, listStart: 4, listItem: 5, listEnd: 6 } as const;
/** The protocol's own bound. */
const MAX_PACKET = 512 * 1024;
const MAX_DEPTH = 8;

type Waiting = { take: (type: number, body: Buffer) => void; fail: (error: Error) => void };

/** A connection to the daemon. Requests are answered in their order; events come in between. */
export class Vici {
  readonly #socket: net.Socket;
  readonly #onEvent: (name: string, message: ViciMessage) => void;
  readonly #waiting: Waiting[] = [];
  #pending = Buffer.alloc(0);
  #error: Error | undefined;

  constructor(path: string, onEvent: (name: string, message: ViciMessage) => void) {
    this.#onEvent = onEvent;
    this.#socket = net.createConnection({ path });
    // The agent's life does not depend on it.
    this.#socket.unref();
    this.#socket.on("error", (cause) =>
      this.#end(new Unreadable(`${path} cannot be reached: ${cause.message}`, { cause, gone: true })),
    );
    this.#socket.on("close", () => this.#end(new Unreadable(`${path} closed the connection`, { gone: true })));
    this.#socket.on("data", (chunk) => {
      try {
        this.#read(chunk);
      } catch (error) {
        this.#end(error as Error);
      }
    });
  }

  get closed(): boolean {
    return this.#error !== undefined;
  }

  /** Asks to be told of an event from now on. */
  async register(event: string): Promise<void> {
    const { type } = await this.#ask(named(PACKET.register, event));
    if (type !== PACKET.confirm) throw new Unreadable(`strongSwan knows no event ${event}: it is too old`);
  }

  async request(command: string, values: Record<string, string> = {}): Promise<ViciMessage> {
    const fields = Object.entries(values).map(([key, value]) => valueElement(key, value));
    const { type, body } = await this.#ask(Buffer.concat([named(PACKET.request, command), ...fields]));
    if (type !== PACKET.response) throw new Unreadable(`strongSwan knows no command ${command}: it is too old`);
    return parseMessage(body);
  }

  close(): void {
    this.#end(new Unreadable("closed"));
  }

  #ask(packet: Buffer): Promise<{ type: number; body: Buffer }> {
    return new Promise((resolve, reject) => {
      if (this.#error) return reject(this.#error);
      this.#waiting.push({ take: (type, body) => resolve({ type, body }), fail: reject });
      const length = Buffer.alloc(4);
      length.writeUInt32BE(packet.length);
      this.#socket.write(Buffer.concat([length, packet]));
    });
  }

  #read(chunk: Buffer): void {
    let bytes = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk]);
    while (bytes.length >= 4) {
      const length = bytes.readUInt32BE();
      if (length === 0 || length > MAX_PACKET)
        throw new Unreadable(`not strongSwan's protocol: a packet of ${length} bytes`);
      if (bytes.length < 4 + length) break;
      this.#take(bytes.subarray(4, 4 + length));
      bytes = bytes.subarray(4 + length);
    }
    // A copy, so that what has been read can be forgotten.
    this.#pending = Buffer.from(bytes);
  }

  #take(packet: Buffer): void {
    const type = packet[0]!;
    if (type !== PACKET.event) {
      this.#waiting.shift()?.take(type, packet.subarray(1));
      return;
    }
    const nameEnd = 2 + (packet[1] ?? 0);
    this.#onEvent(packet.toString("latin1", 2, nameEnd), parseMessage(packet.subarray(nameEnd)));
  }

  #end(error: Error): void {
    this.#error ??= error;
    this.#socket.destroy();
    for (const { fail } of this.#waiting.splice(0)) fail(error);
  }
}

function named(type: number, name: string): Buffer {
  return Buffer.concat([Buffer.of(type, name.length), Buffer.from(name, "latin1")]);
}

function valueElement(key: string, value: string): Buffer {
  const head = Buffer.concat([named(ELEMENT.value, key), Buffer.alloc(2)]);
  head.writeUInt16BE(value.length, head.length - 2);
  return Buffer.concat([head, Buffer.from(value, "latin1")]);
}

const emptyMessage = (): ViciMessage => ({ values: new Map(), lists: new Map(), sections: new Map() });

/** Reads a message. Throws Unreadable on anything that the protocol does not know. */
export function parseMessage(bytes: Buffer): ViciMessage {
  const message = emptyMessage();
  const open = [message];
  let list: string[] | undefined;
  let at = 0;
  const take = (length: number): string => {
    if (at + length > bytes.length) throw new Unreadable("not strongSwan's protocol: a message is cut");
    at += length;
    return bytes.toString("latin1", at - length, at);
  };
  const name = () => take(byte());
  const byte = () => take(1).charCodeAt(0);
  const text = () => take(byte() * 256 + byte());
  while (at < bytes.length) {
    const current = open.at(-1)!;
    const element = byte();
    if (element === ELEMENT.value && !list) current.values.set(name(), text());
    else if (element === ELEMENT.listItem && list) list.push(text());
    else if (element === ELEMENT.listEnd && list) list = undefined;
    else if (element === ELEMENT.listStart && !list) {
      list = [];
      current.lists.set(name(), list);
    } else if (element === ELEMENT.sectionStart && !list && open.length < MAX_DEPTH) {
      const section = emptyMessage();
      current.sections.set(name(), section);
      open.push(section);
    } else if (element === ELEMENT.sectionEnd && !list && open.length > 1) open.pop();
    else throw new Unreadable(`not strongSwan's protocol: element ${element} out of place`);
  }
  if (open.length > 1 || list) throw new Unreadable("not strongSwan's protocol: a message is cut");
  return message;
}

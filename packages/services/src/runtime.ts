import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from "node:crypto";
import type { Deployment } from "./alert/outbound.ts";

export type Runtime = {
  /** APP_SECRET: at least 32 characters, the same in every process. Keys for single uses are derived from it. */
  secret: string;
  deployment: Deployment;
};

// Kept beside the module, as the database's connections are: a bundler may load it twice.
const KEY = Symbol.for("flowtriq.runtime");
const holder = globalThis as { [KEY]?: Runtime };

export function configureServices(runtime: Runtime): void {
  if (runtime.secret.length < 32) throw new Error("APP_SECRET must have at least 32 characters.");
  holder[KEY] = runtime;
}

export function runtime(): Runtime {
  const found = holder[KEY];
  if (!found) throw new Error("Services are not configured: call configureServices when the process starts.");
  return found;
}

export const deployment = (): Deployment => runtime().deployment;

/** 32 bytes for one use; another use's key says nothing about it. */
export const derivedKey = (use: string): Uint8Array =>
  new Uint8Array(hkdfSync("sha256", runtime().secret, "", use, 32));

const VERSION = "v1";

/** AES-256-GCM. `owner` is bound to the text: sealed text copied to another row does not open. */
export function seal(plain: string, owner: string): string {
  const nonce = randomBytes(12);
  const cipher = createCipheriv("aes-256-gcm", derivedKey("settings"), nonce).setAAD(Buffer.from(owner));
  const sealed = Buffer.concat([nonce, cipher.update(plain, "utf8"), cipher.final(), cipher.getAuthTag()]);
  return `${VERSION}.${sealed.toString("base64url")}`;
}

/** Throws when the text was changed, belongs to another owner, or was sealed under another secret. */
export function unseal(sealed: string, owner: string): string {
  const [version, body] = sealed.split(".");
  if (version !== VERSION || !body) throw new Error("Sealed text of an unknown version.");
  const bytes = Buffer.from(body, "base64url");
  const decipher = createDecipheriv("aes-256-gcm", derivedKey("settings"), bytes.subarray(0, 12))
    .setAAD(Buffer.from(owner))
    .setAuthTag(bytes.subarray(-16));
  return Buffer.concat([decipher.update(bytes.subarray(12, -16)), decipher.final()]).toString("utf8");
}

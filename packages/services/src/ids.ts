import { createHash, randomBytes } from "node:crypto";
import { customAlphabet } from "nanoid";

const random = customAlphabet("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", 16);

/** `nod_3kTf…`: what it is, then 95 random bits. */
export const newId = (kind: string): string => `${kind}_${random()}`;

/** A secret of 256 bits that names its kind, so that leaked ones can be recognised. */
export const newSecret = (kind: string): string => `${kind}_${randomBytes(32).toString("base64url")}`;

/** Secrets of 256 random bits need no slow hash. */
export const hashSecret = (secret: string): string => createHash("sha256").update(secret).digest("hex");

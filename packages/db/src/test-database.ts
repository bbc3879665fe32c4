import { randomBytes } from "node:crypto";
import postgres from "postgres";

/** A new database on the same server, copied from `template` if given. Returns its URL. */
export async function createDatabase(serverUrl: string, template?: string): Promise<string> {
  const name = `test_${randomBytes(6).toString("hex")}`;
  const admin = connect(template ? at(serverUrl, "postgres") : serverUrl);
  try {
    await admin.unsafe(`create database ${name}${template ? ` template ${template}` : ""}`);
  } finally {
    await admin.end();
  }
  return at(serverUrl, name);
}

export async function dropDatabase(url: string): Promise<void> {
  const admin = connect(at(url, "postgres"));
  try {
    await admin.unsafe(`drop database if exists ${nameOf(url)} with (force)`);
  } finally {
    await admin.end();
  }
}

export const nameOf = (url: string): string => new URL(url).pathname.slice(1);

const connect = (url: string) => postgres(url, { max: 1, onnotice: () => {} });

function at(url: string, name: string): string {
  const other = new URL(url);
  other.pathname = `/${name}`;
  return other.href;
}

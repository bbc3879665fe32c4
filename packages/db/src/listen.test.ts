import { afterAll, beforeAll, expect, test } from "vitest";
import { type Listener, listen } from "./listen.ts";
import { freshDatabase, type TestDatabase } from "./testing.ts";

let db: TestDatabase;
let listener: Listener | undefined;
beforeAll(async () => {
  db = await freshDatabase();
});
afterAll(async () => {
  await listener?.close();
  await db.drop();
});

test("a lost connection listens again by itself, and says so", async () => {
  const heard: string[] = [];
  let wake = () => {};
  const next = () =>
    new Promise<void>((done) => {
      wake = done;
    });
  let listening = next();
  listener = await listen({
    url: db.url,
    on: {
      live: (text) => {
        heard.push(text);
        wake();
      },
    },
    onListening: () => wake(),
  });
  const first = next();
  await db.raw.app.notify("live", "one");
  await first;
  for (let i = 0; i < 3; i++) {
    listening = next();
    await db.owner`select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'listener' and datname = current_database()`;
    await listening;
  }
  const second = next();
  await db.raw.app.notify("live", "two");
  await second;
  expect(heard).toEqual(["one", "two"]);
});

test("a database that cannot be reached is an error, not a wait", async () => {
  await expect(listen({ url: "postgres://x:y@127.0.0.1:1/none", on: { live: () => {} } })).rejects.toThrow();
});

// Brings the database to this version and, with --demo, seeds the demo workspace. Its last line is JSON, for stack.mjs.
import { openDatabase, useDatabase } from "@flowtriq/db/client";
import { migrate } from "@flowtriq/db/migrate";
import { startReceiver } from "@flowtriq/fakes/receiver";
import { seed } from "@flowtriq/services/demo";
import { configureServices } from "@flowtriq/services/runtime";

const { DATABASE_URL = "", APP_SECRET = "", RECEIVER = "null" } = process.env;
const receiver = JSON.parse(RECEIVER) as { port: number; webhookSecret: string } | null;

await migrate(DATABASE_URL);
if (process.argv.includes("--demo") && receiver) {
  const opened = useDatabase(openDatabase({ url: DATABASE_URL, connections: 2, systemConnections: 2 }));
  configureServices({ secret: APP_SECRET, deployment: { allowLoopback: true } });
  // The receiver itself comes up with the demonstration; it knows its addresses.
  const { slackUrl, webhookUrl, webhookSecret, stop } = await startReceiver(receiver);
  await stop();
  const { email, password, slug, workspaceId, enrolmentToken } = await seed({ slackUrl, webhookUrl, webhookSecret });
  await opened.close();
  console.log(JSON.stringify({ demo: { email, password, workspace: slug, workspaceId, enrolmentToken } }));
} else {
  console.log("{}");
}

import { fileURLToPath } from "node:url";
import { sql } from "drizzle-orm";
import { drizzle } from "drizzle-orm/postgres-js";
import { migrate as runMigrations } from "drizzle-orm/postgres-js/migrator";
import postgres from "postgres";

const FOLDER = fileURLToPath(new URL("../../../drizzle", import.meta.url));
const LOCK = 5_193_001;

/** Brings the database to this version; safe to call from several processes at once. `url` must be the owner's. */
export async function migrate(url: string, { folder = FOLDER }: { folder?: string } = {}): Promise<void> {
  const client = postgres(url, { max: 1, onnotice: () => {} });
  const db = drizzle(client);
  try {
    await db.execute(sql`select pg_advisory_lock(${LOCK})`);
    await runMigrations(db, { migrationsFolder: folder });
    await db.execute(sql.raw(SECURE));
  } finally {
    await client.end({ timeout: 5 });
  }
}

// Run after every migration, so that no new table can be forgotten. The audit log is only ever added to.
const SECURE = `
do $$
declare t record;
begin
  for t in select c.oid::regclass as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
           where n.nspname = 'public' and c.relkind in ('r', 'p') loop
    execute format('alter table %s enable row level security', t.name);
    execute format('alter table %s force row level security', t.name);
    execute format('grant select, insert, update, delete on %s to app, app_system', t.name);
  end loop;
  revoke update, delete, truncate on audit_log from app, app_system;
  execute format('grant app, app_system to %I', current_user);
  grant usage on schema public to app, app_system;
end $$`;

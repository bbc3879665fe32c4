CREATE TABLE "audit_log" (
	"workspace_id" text NOT NULL,
	"seq" integer NOT NULL,
	"at" timestamp (3) with time zone NOT NULL,
	"actor" text NOT NULL,
	"action" text NOT NULL,
	"subject" text NOT NULL,
	"detail" jsonb NOT NULL,
	"previous_hash" text NOT NULL,
	"hash" text NOT NULL,
	CONSTRAINT "audit_log_workspace_id_seq_pk" PRIMARY KEY("workspace_id","seq")
);
--> statement-breakpoint
ALTER TABLE "audit_log" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "brand" (
	"id" text PRIMARY KEY NOT NULL,
	"workspace_id" text,
	"name" text NOT NULL,
	"agent_name" text NOT NULL,
	"support_email" text NOT NULL,
	"logo_url" text,
	"tokens" jsonb DEFAULT '{}'::jsonb NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
ALTER TABLE "brand" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "domain" (
	"host" text PRIMARY KEY NOT NULL,
	"workspace_id" text,
	"brand_id" text NOT NULL,
	"status" text NOT NULL,
	"token" text,
	"verified_at" timestamp (3) with time zone,
	"reason" text,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
ALTER TABLE "domain" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "alert_delivery" (
	"workspace_id" text NOT NULL,
	"incident_id" text NOT NULL,
	"channel_id" text NOT NULL,
	"transition" text NOT NULL,
	"id" text NOT NULL,
	"status" text NOT NULL,
	"attempts" integer DEFAULT 0 NOT NULL,
	"latency_ms" integer,
	"response" text,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"delivered_at" timestamp (3) with time zone,
	CONSTRAINT "alert_delivery_workspace_id_incident_id_channel_id_transition_pk" PRIMARY KEY("workspace_id","incident_id","channel_id","transition")
);
--> statement-breakpoint
ALTER TABLE "alert_delivery" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "channel" (
	"id" text PRIMARY KEY NOT NULL,
	"workspace_id" text NOT NULL,
	"kind" text NOT NULL,
	"name" text NOT NULL,
	"enabled" boolean DEFAULT true NOT NULL,
	"settings" text NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "channel_tenant" UNIQUE("workspace_id","id")
);
--> statement-breakpoint
ALTER TABLE "channel" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "incident" (
	"workspace_id" text NOT NULL,
	"id" text NOT NULL,
	"node_id" text NOT NULL,
	"status" text NOT NULL,
	"vector" text NOT NULL,
	"confidence" real NOT NULL,
	"severity" text NOT NULL,
	"lane" text,
	"port" integer,
	"transport" text,
	"mode" text,
	"acknowledged_by" text,
	"acknowledged_at" timestamp (3) with time zone,
	"started_at" timestamp (3) with time zone NOT NULL,
	"first_packet_at" timestamp (3) with time zone,
	"tripped_at" timestamp (3) with time zone,
	"rules_at" timestamp (3) with time zone,
	"classified_at" timestamp (3) with time zone,
	"ended_at" timestamp (3) with time zone,
	"threshold_pps" double precision,
	"peak_pps" double precision DEFAULT 0 NOT NULL,
	"peak_bps" double precision DEFAULT 0 NOT NULL,
	"packets" double precision,
	"dropped_packets" double precision,
	"passed_packets" double precision,
	"tunnels_before" integer,
	"tunnels_lowest" integer,
	"tunnels_after" integer,
	"users_disconnected" integer,
	"profile" jsonb,
	"evidence" jsonb DEFAULT '[]'::jsonb NOT NULL,
	"rules" jsonb DEFAULT '[]'::jsonb NOT NULL,
	CONSTRAINT "incident_workspace_id_id_pk" PRIMARY KEY("workspace_id","id")
);
--> statement-breakpoint
ALTER TABLE "incident" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "incident_event" (
	"workspace_id" text NOT NULL,
	"incident_id" text NOT NULL,
	"id" text NOT NULL,
	"at" timestamp (3) with time zone NOT NULL,
	"actor" text NOT NULL,
	"kind" text NOT NULL,
	"text" text NOT NULL,
	"data" jsonb DEFAULT '{}'::jsonb NOT NULL,
	CONSTRAINT "incident_event_workspace_id_incident_id_id_pk" PRIMARY KEY("workspace_id","incident_id","id")
);
--> statement-breakpoint
ALTER TABLE "incident_event" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "node_minute" (
	"workspace_id" text NOT NULL,
	"node_id" text NOT NULL,
	"minute" timestamp (3) with time zone NOT NULL,
	"pps" real[] NOT NULL,
	"bps" real[] NOT NULL,
	"dropped_pps" real[] NOT NULL,
	"passed_pps" real[] NOT NULL,
	"passed_bps" real[] NOT NULL,
	"tunnels" real[] NOT NULL,
	CONSTRAINT "node_minute_node_id_minute_pk" PRIMARY KEY("node_id","minute")
);
--> statement-breakpoint
ALTER TABLE "node_minute" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "node_minute_rollup" (
	"workspace_id" text NOT NULL,
	"node_id" text NOT NULL,
	"minute" timestamp (3) with time zone NOT NULL,
	"seconds" smallint NOT NULL,
	"mean_pps" real NOT NULL,
	"peak_pps" real NOT NULL,
	"mean_bps" real NOT NULL,
	"peak_bps" real NOT NULL,
	"mean_dropped_pps" real NOT NULL,
	"mean_passed_pps" real NOT NULL,
	"peak_passed_pps" real NOT NULL,
	"mean_passed_bps" real NOT NULL,
	"tunnels_lowest" integer,
	"tunnels_highest" integer,
	CONSTRAINT "node_minute_rollup_node_id_minute_pk" PRIMARY KEY("node_id","minute")
);
--> statement-breakpoint
ALTER TABLE "node_minute_rollup" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "node_second" (
	"workspace_id" text NOT NULL,
	"node_id" text NOT NULL,
	"at" timestamp (3) with time zone NOT NULL,
	"pps" real NOT NULL,
	"bps" real NOT NULL,
	"dropped_pps" real NOT NULL,
	"passed_pps" real NOT NULL,
	"passed_bps" real NOT NULL,
	"tunnels" integer,
	"lanes" jsonb,
	CONSTRAINT "node_second_node_id_at_pk" PRIMARY KEY("node_id","at")
);
--> statement-breakpoint
ALTER TABLE "node_second" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "enrolment_token" (
	"id" text PRIMARY KEY NOT NULL,
	"workspace_id" text NOT NULL,
	"hash" text NOT NULL,
	"label" text NOT NULL,
	"pop" text,
	"region" text,
	"tags" text[] DEFAULT '{}' NOT NULL,
	"uses_left" integer,
	"uses" integer DEFAULT 0 NOT NULL,
	"expires_at" timestamp (3) with time zone NOT NULL,
	"created_by" text,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "enrolment_token_hash_unique" UNIQUE("hash")
);
--> statement-breakpoint
ALTER TABLE "enrolment_token" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "node" (
	"id" text PRIMARY KEY NOT NULL,
	"workspace_id" text NOT NULL,
	"name" text NOT NULL,
	"hostname" text NOT NULL,
	"machine_id" text NOT NULL,
	"key_hash" text NOT NULL,
	"pop" text,
	"region" text,
	"tags" text[] DEFAULT '{}' NOT NULL,
	"version" text NOT NULL,
	"kernel" text NOT NULL,
	"ports" jsonb DEFAULT '[]'::jsonb NOT NULL,
	"mode" text,
	"backend" text,
	"applied_revision" integer DEFAULT 0 NOT NULL,
	"policy_error" text,
	"tunnels" integer,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"first_seen_at" timestamp (3) with time zone,
	"last_seen_at" timestamp (3) with time zone,
	CONSTRAINT "node_key" UNIQUE("key_hash"),
	CONSTRAINT "node_machine" UNIQUE("workspace_id","machine_id"),
	CONSTRAINT "node_tenant" UNIQUE("workspace_id","id")
);
--> statement-breakpoint
ALTER TABLE "node" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "node_event" (
	"workspace_id" text NOT NULL,
	"node_id" text NOT NULL,
	"id" text NOT NULL,
	"at" timestamp (3) with time zone NOT NULL,
	"event" text NOT NULL,
	"data" jsonb NOT NULL,
	CONSTRAINT "node_event_node_id_id_pk" PRIMARY KEY("node_id","id")
);
--> statement-breakpoint
ALTER TABLE "node_event" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "outbox" (
	"id" text PRIMARY KEY NOT NULL,
	"seq" bigint GENERATED ALWAYS AS IDENTITY (sequence name "outbox_seq_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"workspace_id" text NOT NULL,
	"job" text NOT NULL,
	"payload" jsonb NOT NULL,
	"dedupe_key" text,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"relayed_at" timestamp (3) with time zone,
	CONSTRAINT "outbox_once" UNIQUE("workspace_id","dedupe_key")
);
--> statement-breakpoint
ALTER TABLE "outbox" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "policy" (
	"workspace_id" text NOT NULL,
	"revision" integer NOT NULL,
	"policy" jsonb NOT NULL,
	"created_by" text,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "policy_workspace_id_revision_pk" PRIMARY KEY("workspace_id","revision")
);
--> statement-breakpoint
ALTER TABLE "policy" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "member" (
	"workspace_id" text NOT NULL,
	"user_id" text NOT NULL,
	"role" text NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "member_workspace_id_user_id_pk" PRIMARY KEY("workspace_id","user_id")
);
--> statement-breakpoint
ALTER TABLE "member" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "user" (
	"id" text PRIMARY KEY NOT NULL,
	"email" text NOT NULL,
	"name" text NOT NULL,
	"password_hash" text,
	"failed_attempts" integer DEFAULT 0 NOT NULL,
	"locked_until" timestamp (3) with time zone,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "user_email_unique" UNIQUE("email")
);
--> statement-breakpoint
ALTER TABLE "user" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "workspace" (
	"id" text PRIMARY KEY NOT NULL,
	"name" text NOT NULL,
	"slug" text NOT NULL,
	"brand_id" text,
	"policy_revision" integer DEFAULT 0 NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "workspace_slug_unique" UNIQUE("slug")
);
--> statement-breakpoint
ALTER TABLE "workspace" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
ALTER TABLE "audit_log" ADD CONSTRAINT "audit_log_workspace_id_workspace_id_fk" FOREIGN KEY ("workspace_id") REFERENCES "public"."workspace"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "brand" ADD CONSTRAINT "brand_workspace_id_workspace_id_fk" FOREIGN KEY ("workspace_id") REFERENCES "public"."workspace"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "domain" ADD CONSTRAINT "domain_workspace_id_workspace_id_fk" FOREIGN KEY ("workspace_id") REFERENCES "public"."workspace"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "domain" ADD CONSTRAINT "domain_brand_id_brand_id_fk" FOREIGN KEY ("brand_id") REFERENCES "public"."brand"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "alert_delivery" ADD CONSTRAINT "alert_delivery_workspace_id_incident_id_incident_workspace_id_id_fk" FOREIGN KEY ("workspace_id","incident_id") REFERENCES "public"."incident"("workspace_id","id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "alert_delivery" ADD CONSTRAINT "alert_delivery_workspace_id_channel_id_channel_workspace_id_id_fk" FOREIGN KEY ("workspace_id","channel_id") REFERENCES "public"."channel"("workspace_id","id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "channel" ADD CONSTRAINT "channel_workspace_id_workspace_id_fk" FOREIGN KEY ("workspace_id") REFERENCES "public"."workspace"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "incident" ADD CONSTRAINT "incident_workspace_id_workspace_id_fk" FOREIGN KEY ("workspace_id") REFERENCES "public"."workspace"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "incident" ADD CONSTRAINT "incident_acknowledged_by_user_id_fk" FOREIGN KEY ("acknowledged_by") REFERENCES "public"."user"("id") ON DELETE set null ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "incident" ADD CONSTRAINT "incident_workspace_id_node_id_node_workspace_id_id_fk" FOREIGN KEY ("workspace_id","node_id") REFERENCES "public"."node"("workspace_id","id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "incident_event" ADD CONSTRAINT "incident_event_workspace_id_incident_id_incident_workspace_id_id_fk" FOREIGN KEY ("workspace_id","incident_id") REFERENCES "public"."incident"("workspace_id","id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "enrolment_token" ADD CONSTRAINT "enrolment_token_workspace_id_workspace_id_fk" FOREIGN KEY ("workspace_id") REFERENCES "public"."workspace"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "node" ADD CONSTRAINT "node_workspace_id_workspace_id_fk" FOREIGN KEY ("workspace_id") REFERENCES "public"."workspace"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "node_event" ADD CONSTRAINT "node_event_workspace_id_node_id_node_workspace_id_id_fk" FOREIGN KEY ("workspace_id","node_id") REFERENCES "public"."node"("workspace_id","id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "outbox" ADD CONSTRAINT "outbox_workspace_id_workspace_id_fk" FOREIGN KEY ("workspace_id") REFERENCES "public"."workspace"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "policy" ADD CONSTRAINT "policy_workspace_id_workspace_id_fk" FOREIGN KEY ("workspace_id") REFERENCES "public"."workspace"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "member" ADD CONSTRAINT "member_workspace_id_workspace_id_fk" FOREIGN KEY ("workspace_id") REFERENCES "public"."workspace"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "member" ADD CONSTRAINT "member_user_id_user_id_fk" FOREIGN KEY ("user_id") REFERENCES "public"."user"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "delivery_newest" ON "alert_delivery" USING btree ("workspace_id","created_at" DESC NULLS LAST);--> statement-breakpoint
CREATE INDEX "incident_newest" ON "incident" USING btree ("workspace_id","started_at" DESC NULLS LAST,"id" DESC NULLS LAST);--> statement-breakpoint
CREATE INDEX "incident_by_node" ON "incident" USING btree ("workspace_id","node_id","started_at" DESC NULLS LAST);--> statement-breakpoint
CREATE INDEX "outbox_waiting" ON "outbox" USING btree ("seq") WHERE relayed_at is null;--> statement-breakpoint
CREATE INDEX "member_user_id_index" ON "member" USING btree ("user_id");--> statement-breakpoint
CREATE POLICY "tenant" ON "audit_log" AS PERMISSIVE FOR ALL TO "app" USING (workspace_id = nullif(current_setting('app.workspace', true), '')) WITH CHECK (workspace_id = nullif(current_setting('app.workspace', true), ''));--> statement-breakpoint
CREATE POLICY "system" ON "audit_log" AS PERMISSIVE FOR ALL TO "app_system" USING (true) WITH CHECK (true);--> statement-breakpoint
CREATE POLICY "tenant_read" ON "brand" AS PERMISSIVE FOR SELECT TO "app" USING (workspace_id is null);--> statement-breakpoint
CREATE POLICY "tenant" ON "brand" AS PERMISSIVE FOR ALL TO "app" USING (workspace_id = nullif(current_setting('app.workspace', true), '')) WITH CHECK (workspace_id = nullif(current_setting('app.workspace', true), ''));--> statement-breakpoint
CREATE POLICY "system" ON "brand" AS PERMISSIVE FOR ALL TO "app_system" USING (true) WITH CHECK (true);--> statement-breakpoint
CREATE POLICY "tenant" ON "domain" AS PERMISSIVE FOR ALL TO "app" USING (workspace_id = nullif(current_setting('app.workspace', true), '')) WITH CHECK (workspace_id = nullif(current_setting('app.workspace', true), ''));--> statement-breakpoint
CREATE POLICY "system" ON "domain" AS PERMISSIVE FOR ALL TO "app_system" USING (true) WITH CHECK (true);--> statement-breakpoint
CREATE POLICY "tenant" ON "alert_delivery" AS PERMISSIVE FOR ALL TO "app" USING (workspace_id = nullif(current_setting('app.workspace', true), '')) WITH CHECK (workspace_id = nullif(current_setting('app.workspace', true), ''));--> statement-breakpoint
CREATE POLICY "system" ON "alert_delivery" AS PERMISSIVE FOR ALL TO "app_system" USING (true) WITH CHECK (true);--> statement-breakpoint
CREATE POLICY "tenant" ON "channel" AS PERMISSIVE FOR ALL TO "app" USING (workspace_id = nullif(current_setting('app.workspace', true), '')) WITH CHECK (workspace_id = nullif(current_setting('app.workspace', true), ''));--> statement-breakpoint
CREATE POLICY "system" ON "channel" AS PERMISSIVE FOR ALL TO "app_system" USING (true) WITH CHECK (true);--> statement-breakpoint
CREATE POLICY "tenant" ON "incident" AS PERMISSIVE FOR ALL TO "app" USING (workspace_id = nullif(current_setting('app.workspace', true), '')) WITH CHECK (workspace_id = nullif(current_setting('app.workspace', true), ''));--> statement-breakpoint
CREATE POLICY "system" ON "incident" AS PERMISSIVE FOR ALL TO "app_system" USING (true) WITH CHECK (true);--> statement-breakpoint
CREATE POLICY "tenant" ON "incident_event" AS PERMISSIVE FOR ALL TO "app" USING (workspace_id = nullif(current_setting('app.workspace', true), '')) WITH CHECK (workspace_id = nullif(current_setting('app.workspace', true), ''));--> statement-breakpoint
CREATE POLICY "system" ON "incident_event" AS PERMISSIVE FOR ALL TO "app_system" USING (true) WITH CHECK (true);--> statement-breakpoint
CREATE POLICY "tenant" ON "node_minute" AS PERMISSIVE FOR ALL TO "app" USING (workspace_id = nullif(current_setting('app.workspace', true), '')) WITH CHECK (workspace_id = nullif(current_setting('app.workspace', true), ''));--> statement-breakpoint
CREATE POLICY "system" ON "node_minute" AS PERMISSIVE FOR ALL TO "app_system" USING (true) WITH CHECK (true);--> statement-breakpoint
CREATE POLICY "tenant" ON "node_minute_rollup" AS PERMISSIVE FOR ALL TO "app" USING (workspace_id = nullif(current_setting('app.workspace', true), '')) WITH CHECK (workspace_id = nullif(current_setting('app.workspace', true), ''));--> statement-breakpoint
CREATE POLICY "system" ON "node_minute_rollup" AS PERMISSIVE FOR ALL TO "app_system" USING (true) WITH CHECK (true);--> statement-breakpoint
CREATE POLICY "tenant" ON "node_second" AS PERMISSIVE FOR ALL TO "app" USING (workspace_id = nullif(current_setting('app.workspace', true), '')) WITH CHECK (workspace_id = nullif(current_setting('app.workspace', true), ''));--> statement-breakpoint
CREATE POLICY "system" ON "node_second" AS PERMISSIVE FOR ALL TO "app_system" USING (true) WITH CHECK (true);--> statement-breakpoint
CREATE POLICY "tenant" ON "enrolment_token" AS PERMISSIVE FOR ALL TO "app" USING (workspace_id = nullif(current_setting('app.workspace', true), '')) WITH CHECK (workspace_id = nullif(current_setting('app.workspace', true), ''));--> statement-breakpoint
CREATE POLICY "system" ON "enrolment_token" AS PERMISSIVE FOR ALL TO "app_system" USING (true) WITH CHECK (true);--> statement-breakpoint
CREATE POLICY "tenant" ON "node" AS PERMISSIVE FOR ALL TO "app" USING (workspace_id = nullif(current_setting('app.workspace', true), '')) WITH CHECK (workspace_id = nullif(current_setting('app.workspace', true), ''));--> statement-breakpoint
CREATE POLICY "system" ON "node" AS PERMISSIVE FOR ALL TO "app_system" USING (true) WITH CHECK (true);--> statement-breakpoint
CREATE POLICY "tenant" ON "node_event" AS PERMISSIVE FOR ALL TO "app" USING (workspace_id = nullif(current_setting('app.workspace', true), '')) WITH CHECK (workspace_id = nullif(current_setting('app.workspace', true), ''));--> statement-breakpoint
CREATE POLICY "system" ON "node_event" AS PERMISSIVE FOR ALL TO "app_system" USING (true) WITH CHECK (true);--> statement-breakpoint
CREATE POLICY "tenant" ON "outbox" AS PERMISSIVE FOR ALL TO "app" USING (workspace_id = nullif(current_setting('app.workspace', true), '')) WITH CHECK (workspace_id = nullif(current_setting('app.workspace', true), ''));--> statement-breakpoint
CREATE POLICY "system" ON "outbox" AS PERMISSIVE FOR ALL TO "app_system" USING (true) WITH CHECK (true);--> statement-breakpoint
CREATE POLICY "tenant" ON "policy" AS PERMISSIVE FOR ALL TO "app" USING (workspace_id = nullif(current_setting('app.workspace', true), '')) WITH CHECK (workspace_id = nullif(current_setting('app.workspace', true), ''));--> statement-breakpoint
CREATE POLICY "system" ON "policy" AS PERMISSIVE FOR ALL TO "app_system" USING (true) WITH CHECK (true);--> statement-breakpoint
CREATE POLICY "tenant" ON "member" AS PERMISSIVE FOR ALL TO "app" USING (workspace_id = nullif(current_setting('app.workspace', true), '')) WITH CHECK (workspace_id = nullif(current_setting('app.workspace', true), ''));--> statement-breakpoint
CREATE POLICY "system" ON "member" AS PERMISSIVE FOR ALL TO "app_system" USING (true) WITH CHECK (true);--> statement-breakpoint
CREATE POLICY "tenant_read" ON "user" AS PERMISSIVE FOR SELECT TO "app" USING (exists (select 1 from member where member.user_id = "user".id and member.workspace_id = nullif(current_setting('app.workspace', true), '')));--> statement-breakpoint
CREATE POLICY "system" ON "user" AS PERMISSIVE FOR ALL TO "app_system" USING (true) WITH CHECK (true);--> statement-breakpoint
CREATE POLICY "tenant_read" ON "workspace" AS PERMISSIVE FOR SELECT TO "app" USING (id = nullif(current_setting('app.workspace', true), ''));--> statement-breakpoint
CREATE POLICY "tenant_change" ON "workspace" AS PERMISSIVE FOR UPDATE TO "app" USING (id = nullif(current_setting('app.workspace', true), '')) WITH CHECK (id = nullif(current_setting('app.workspace', true), ''));--> statement-breakpoint
CREATE POLICY "system" ON "workspace" AS PERMISSIVE FOR ALL TO "app_system" USING (true) WITH CHECK (true);
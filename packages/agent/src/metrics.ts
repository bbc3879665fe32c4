import { type Figures, LATENCY_BUCKETS_SECONDS } from "./figures.ts";
import { stateOf } from "./kernel.ts";
import type { StatusReport } from "./status.ts";
import { NAME } from "./usage.ts";

type Labels = Record<string, string>;
type Sample = { suffix?: string; labels?: Labels; value: number };
type Metric = { name: string; type: "counter" | "gauge" | "histogram"; help: string; samples: Sample[] };

/** The Prometheus text format, version 0.0.4. Rendered only when asked for. */
export function metricsText(status: StatusReport, figures: Figures): string {
  return metricsOf(status, figures)
    .filter(({ samples }) => samples.length > 0)
    .map(({ name, type, help, samples }) => {
      const full = `${NAME}_${name}`;
      const lines = samples.map(({ suffix = "", labels, value }) => `${full}${suffix}${labelText(labels)} ${value}`);
      return `# HELP ${full} ${help}\n# TYPE ${full} ${type}\n${lines.join("\n")}\n`;
    })
    .join("");
}

function metricsOf(status: StatusReport, { attacks, warnings, latency }: Figures): Metric[] {
  const { rules, service } = status;
  const one = (value: number | null): Sample[] => (value === null ? [] : [{ value }]);
  const byLane = (value: (lane: StatusReport["rules"][number]) => number): Sample[] =>
    rules.map((lane) => ({ labels: { lane: lane.lane }, value: value(lane) }));
  const tally = (counts: Map<string, number>, label: string): Sample[] =>
    [...counts].map(([key, value]) => ({ labels: { [label]: key }, value }));
  const states = ["armed", "watched", "first aid", "open"] as const;
  return [
    gauge("build_info", "The running version; always 1.", [
      { labels: { version: status.version, backend: status.backend }, value: 1 },
    ]),
    gauge("start_time_seconds", "When the agent started, in seconds since 1970.", one(status.startedAt / 1000)),
    counter(
      "lane_packets_total",
      "Packets that arrived, before any drop.",
      byLane(({ packets }) => packets),
    ),
    counter(
      "lane_bytes_total",
      "Bytes that arrived, before any drop.",
      byLane(({ bytes }) => bytes),
    ),
    counter(
      "lane_dropped_packets_total",
      "Packets that were dropped.",
      byLane(({ dropped }) => dropped),
    ),
    counter(
      "lane_dropped_bytes_total",
      "Bytes that were dropped.",
      byLane(({ droppedBytes }) => droppedBytes),
    ),
    gauge(
      "lanes",
      "Lanes by what the kernel does with them.",
      states.map((state) => ({ labels: { state }, value: rules.filter((lane) => stateOf(lane) === state).length })),
    ),
    gauge("attacks_open", "Attacks that go on.", one(status.attacks.length)),
    counter("attacks_ended_total", "Attacks that ended, by vector.", tally(attacks, "vector")),
    {
      name: "mitigation_latency_seconds",
      type: "histogram",
      help: "From an attack's first packet, reckoned back from its rate, to the rules against it.",
      samples: [
        ...LATENCY_BUCKETS_SECONDS.map((bound, index) => ({
          suffix: "_bucket",
          labels: { le: String(bound) },
          value: latency.buckets[index]!,
        })),
        { suffix: "_bucket", labels: { le: "+Inf" }, value: latency.count },
        { suffix: "_sum", value: latency.sum },
        { suffix: "_count", value: latency.count },
      ],
    },
    gauge("tunnels", "Live VPN tunnels; absent while nobody can tell.", one(status.tunnels)),
    counter("samples_total", "Packet headers that the kernel handed up.", one(status.samples)),
    counter("warnings_total", "Warnings told, by code.", tally(warnings, "code")),
    gauge(
      "spool_events",
      "Events that the service has not taken yet; absent when stand-alone.",
      one(status.spoolEvents),
    ),
    gauge(
      "service_connected",
      "Whether the last report got through; absent when stand-alone.",
      one(service && Number(service.connected)),
    ),
    gauge("policy_revision", "Revision of the policy in force; 0 is the local one.", one(status.revision)),
    gauge("standing_down", "1 after everything was withdrawn by hand.", one(Number(status.standingDown))),
  ];
}

const gauge = (name: string, help: string, samples: Sample[]): Metric => ({ name, type: "gauge", help, samples });
const counter = (name: string, help: string, samples: Sample[]): Metric => ({ name, type: "counter", help, samples });

function labelText(labels: Labels | undefined): string {
  if (!labels) return "";
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escaped(value)}"`);
  return `{${pairs.join(",")}}`;
}

const escaped = (value: string) => value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");

const MAX_CONNECTIONS = 16;
const REQUEST_MS = 5_000;

/** Answers `GET /metrics` at one address. `onTrouble` is told when the address cannot be had. */
export async function serve(
  { address, port }: { address: string; port: number },
  figures: Figures,
  status: () => StatusReport,
  onTrouble: (message: string) => void,
): Promise<{ close: () => void }> {
  // Here, because what a module of the bundle imports at its top every running agent loads.
  const { createServer } = await import("node:http");
  const server = createServer((request, response) => {
    const known = request.url?.split("?")[0] === "/metrics";
    const allowed = request.method === "GET" || request.method === "HEAD";
    if (!known || !allowed) {
      response
        .writeHead(known ? 405 : 404, { "content-type": "text/plain" })
        .end(known ? "GET only\n" : "see /metrics\n");
      return;
    }
    const text = metricsText(status(), figures);
    response.writeHead(200, { "content-type": "text/plain; version=0.0.4; charset=utf-8" });
    response.end(request.method === "HEAD" ? undefined : text);
  });
  server.maxConnections = MAX_CONNECTIONS;
  server.requestTimeout = server.headersTimeout = REQUEST_MS;
  server.on("error", (error) => onTrouble(`Metrics are not served: ${error.message}`.slice(0, 500)));
  server.listen(port, address);
  return { close: () => server.close() };
}

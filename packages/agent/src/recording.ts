import { RECORD } from "@flowtriq/mitigation/record";
import type { AgentConfig } from "@flowtriq/protocol/config";
import { Captures } from "./captures.ts";
import { NflogQueue } from "./nflog.ts";
import type { Sink } from "./sink.ts";
import type { StateDir } from "./state.ts";

/** The NFLOG group next to that of the samples. */
const groupBeside = (group: number) => (group < 65_535 ? group + 1 : group - 1);

/**
 * Captures as this host can have them, and the group that the kernel should record to. What is not possible is told as a warning:
 * protection does not depend on it.
 */
export function startRecording(
  { captures: limits, nflogGroup }: AgentConfig,
  state: StateDir,
  sink: Sink,
  sampleBytes: number,
): { captures: Captures | undefined; recordGroup: number | undefined } {
  if (limits.maxFiles === 0) return { captures: undefined, recordGroup: undefined };
  const warn = (code: string, message: string) =>
    sink.emit({ event: "agent.warning", code, message: message.slice(0, 500) });
  const group = groupBeside(nflogGroup);
  let recorded: NflogQueue | undefined;
  try {
    recorded = new NflogQueue(group, RECORD.snapBytes);
  } catch (error) {
    const why = (error as Error).message;
    warn("traffic_not_recorded", `Captures will begin with their attacks, not before: ${why}.`);
  }
  try {
    const captures = new Captures({
      ...{ directory: state.file("captures"), limits, sampleBytes, recorded },
      onWritten: (written) => sink.emit({ event: "capture.written", ...written }),
      onTrouble: (message) => warn("capture_not_written", message),
    });
    return { captures, recordGroup: recorded && group };
  } catch (error) {
    recorded?.close();
    warn("capture_not_written", `Attacks will have no captures: ${(error as Error).message}`);
    return { captures: undefined, recordGroup: undefined };
  }
}

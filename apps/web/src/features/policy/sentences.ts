import type { Mode } from "@flowtriq/protocol/policy";

/** What a mode means, as a sentence that can be read aloud. */
export const MODE_MEANS: Record<Mode, string> = {
  observe: "Rules count what they would have dropped. Nothing is dropped.",
  approve: "Rules are prepared and wait for a person before they drop.",
  enforce: "Rules drop attack packets within milliseconds, by themselves, and end by themselves.",
};

/** What nodes do under a policy, as the head of its page. */
export const MODE_TITLE: Record<Mode, string> = {
  observe: "Nodes watch attacks and drop nothing.",
  approve: "Nodes ask before they drop an attack.",
  enforce: "Nodes drop attacks by themselves.",
};

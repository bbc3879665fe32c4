/** The default brand. A reseller's is a row in the database with the same fields; no other file spells these names. */
export const DEFAULT_BRAND = {
  name: "Flowtriq",
  agentName: "ftagent",
  supportEmail: "support@flowtriq.example",
} as const;

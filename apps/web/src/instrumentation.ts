/** Runs once when the server starts: a bad environment ends it here, not at the first request. */
export async function register() {
  if (process.env.NEXT_RUNTIME !== "nodejs") return;
  const { connect } = await import("./server/connect.ts");
  connect();
}

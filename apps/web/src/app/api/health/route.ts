/** Whether this process answers; it says nothing about the database, which would take all of them away at once. */
export const GET = () => new Response("ok\n", { headers: { "cache-control": "no-store" } });
export const dynamic = "force-dynamic";

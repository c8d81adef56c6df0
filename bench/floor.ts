/** The least that a gateway on Bun can cost: what comes from the service goes to the client as it is. */
const [upstream = "", port = "0"] = process.argv.slice(2);

Bun.serve({
  hostname: "127.0.0.1",
  port: Number(port),
  idleTimeout: 0,
  async fetch(request) {
    const response = await fetch(upstream + new URL(request.url).pathname, {
      method: request.method,
      headers: { "content-type": "application/json" },
      body: await request.bytes(),
    });
    return new Response(response.body, { headers: { "content-type": "text/event-stream" } });
  },
});

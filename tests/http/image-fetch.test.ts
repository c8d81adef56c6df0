import { afterAll, describe, expect, test } from "bun:test";
import { fetchImage } from "../../src/http/image-fetch.ts";
import { fail, ok } from "../../src/result.ts";
import { createTestRuntime, type ScriptedFetch } from "../support/runtime.ts";
import { tls } from "../support/tls.ts";

const PNG = Buffer.from("\x89PNG\r\n\x1a\nrest", "latin1");
const image = ok({
  type: "image" as const,
  format: "png" as const,
  base64: PNG.toString("base64"),
});
const PUBLIC = "93.184.215.14";
const NOT_PUBLIC = fail("its host has no public address");
const MB = 1024 ** 2;

type Hosts = Record<string, readonly string[] | (() => string[])>;

const never = async () => await new Promise<never>(() => undefined);

/** A name service and a web by script. Addresses are known by themselves, as with the system's own look-up. */
function world(hosts: Hosts = {}, fetch: ScriptedFetch = () => new Response(PNG)) {
  const { runtime, calls, advance, settle, pending } = createTestRuntime({ fetch });
  const looked: string[] = [];
  const client = new AbortController();
  const deps = {
    runtime,
    async lookup(host: string) {
      looked.push(host);
      const found = hosts[host];
      if (typeof found === "function") return found();
      if (found !== undefined) return [...found];
      if (/^[\d.]+$|:/.test(host)) return [host];
      throw new Error("ENOTFOUND");
    },
  };
  const get = async (url: string) => await fetchImage(url, client.signal, deps);
  return { get, deps, client, calls, looked, advance, settle, pending };
}

function redirect(location: string, status = 302): Response {
  return new Response("moved", { status, headers: { location } });
}

async function ofSize(bytes: number) {
  const script = () => new Response(Buffer.concat([PNG, Buffer.alloc(bytes - PNG.length)]));
  return await world({ "img.example": [PUBLIC] }, script).get("https://img.example/");
}

function redirects(count: number): ScriptedFetch {
  let left = count;
  return () => (left-- > 0 ? redirect("/on") : new Response(PNG));
}

function pathOf(url: string): string {
  return new URL(url).pathname;
}

/** Pieces of a megabyte without end; `cancelled` when nobody wants more. */
function endless() {
  const state = { megabytes: 0, cancelled: false };
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      state.megabytes++;
      controller.enqueue(new Uint8Array(MB));
    },
    cancel: () => void (state.cancelled = true),
  });
  return { state, body };
}

describe("an image", () => {
  test("is asked for at the address that was checked, under its own name", async () => {
    const { get, calls } = world({ "img.example": [PUBLIC] });
    expect(await get("https://img.example/a/b.png?size=1#top")).toEqual(image);
    expect(calls).toHaveLength(1);
    expect(calls[0]?.url).toStartWith(`https://${PUBLIC}/a/b.png?size=1`);
    expect(calls[0]?.init).toMatchObject({
      headers: { host: "img.example", "accept-encoding": "identity" },
      redirect: "manual",
      decompress: false,
      keepalive: false,
      proxy: false,
      tls: { serverName: "img.example", rejectUnauthorized: true },
    });
  });

  test("may come over http, and from a URL with the port", async () => {
    const { get, calls } = world({ "img.example": [PUBLIC] });
    expect(await get(" http://img.example:443/a ")).toEqual(image);
    expect(calls[0]?.url).toBe(`http://${PUBLIC}:443/a`);
    expect(calls[0]?.init.headers).toMatchObject({ host: "img.example:443" });
  });

  test("may come from IPv6", async () => {
    const { get, calls } = world({ "img.example": ["2606:4700::1111"] });
    expect(await get("https://img.example/a")).toEqual(image);
    expect(calls[0]?.url).toBe("https://[2606:4700::1111]/a");
  });

  test.each([
    { url: "https://93.184.215.14/a", host: "93.184.215.14" },
    { url: "https://[2606:4700::1111]/a", host: "[2606:4700::1111]" },
  ])("may come from a bare address: $url", async ({ url, host }) => {
    const { get, calls } = world();
    expect(await get(url)).toEqual(image);
    expect(calls[0]?.url).toBe(url);
    expect(calls[0]?.init.headers).toMatchObject({ host });
    expect(calls[0]?.init.tls).toEqual({ rejectUnauthorized: true });
  });

  test("is known by its bytes, whatever the content type says", async () => {
    const { get } = world(
      { "img.example": [PUBLIC] },
      () => new Response(PNG, { headers: { "content-type": "text/html" } }),
    );
    expect(await get("https://img.example/")).toEqual(image);
  });

  test("may be ten megabytes large, and not a byte more", async () => {
    const found = await ofSize(10 * MB);
    expect(found.ok && found.value.base64.length).toBe(Math.ceil((10 * MB) / 3) * 4);
    expect(await ofSize(10 * MB + 1)).toEqual(fail("it is larger than 10 MB"));
  });

  test("is asked for at the next address when one does not answer", async () => {
    const { get, calls } = world({ "img.example": ["2606:4700::1111", PUBLIC] }, (url) => {
      if (url.includes("[")) throw new Error("ENETUNREACH");
      return new Response(PNG);
    });
    expect(await get("https://img.example/")).toEqual(image);
    expect(calls).toHaveLength(2);
  });

  test("leaves no timer behind", async () => {
    const { get, pending } = world({ "img.example": [PUBLIC] });
    await get("https://img.example/");
    expect(pending()).toBe(0);
  });
});

describe("nothing is asked of", () => {
  test.each([
    "http://127.0.0.1/",
    "http://2130706433/",
    "http://0x7f.1/",
    "http://0177.0.0.1/",
    "http://127.0.0.1./",
    "http://[::1]/",
    "http://[::ffff:169.254.169.254]/latest/meta-data/",
    "http://[64:ff9b::a9fe:a9fe]/",
    "http://[2002:7f00:1::]/",
    "http://169.254.169.254/latest/meta-data/",
    "http://10.1.2.3/",
    "https://[fd00:ec2::254]/",
    "http://0/",
  ])("a private address: %s", async (url) => {
    const { get, calls } = world();
    expect(await get(url)).toEqual(NOT_PUBLIC);
    expect(calls).toEqual([]);
  });

  test.each([
    { name: "a private address", addresses: ["192.168.1.1"] },
    { name: "a private address among public ones", addresses: [PUBLIC, "8.8.8.8", "10.0.0.1"] },
    { name: "a private address of the other family", addresses: [PUBLIC, "::1"] },
    { name: "no address", addresses: [] },
    { name: "no IP address", addresses: ["localhost"] },
  ])("a host with $name", async ({ addresses }) => {
    const { get, calls } = world({ "evil.example": addresses });
    expect(await get("https://evil.example/a.png")).toEqual(NOT_PUBLIC);
    expect(calls).toEqual([]);
  });

  test("a host that does not exist, and the client can't tell it from a private one", async () => {
    const { get, calls } = world();
    expect(await get("https://nowhere.example/")).toEqual(NOT_PUBLIC);
    expect(calls).toEqual([]);
  });

  test.each([
    "https://img.example:8080/",
    "http://img.example:22/",
    "https://user@img.example/",
    "https://user:password@img.example/",
    "https://:password@img.example/",
    "ftp://img.example/",
    "file:///etc/passwd",
    "data:image/png;base64,AAAA",
    "http://[fe80::1%25eth0]/",
    "https://",
    "nonsense",
  ])("a URL that is not allowed: %s", async (url) => {
    const { get, calls, looked } = world({ "img.example": [PUBLIC] });
    expect(await get(url)).toEqual(
      fail("its URL must be http or https on port 80 or 443, without a user name"),
    );
    expect([calls, looked]).toEqual([[], []]);
  });
});

test("a name that leads elsewhere the second time changes nothing, for it is looked up once", async () => {
  const answers = [[PUBLIC], ["127.0.0.1"]];
  const { get, calls, looked } = world({ "evil.example": () => answers.shift() ?? [] });
  expect(await get("https://evil.example/")).toEqual(image);
  expect(looked).toEqual(["evil.example"]);
  expect(calls.map(({ url }) => url)).toEqual([`https://${PUBLIC}/`]);
});

describe("a redirect", () => {
  const hosts = { "img.example": [PUBLIC], "cdn.example": ["8.8.8.8"], "in.example": ["10.0.0.1"] };

  test.each([301, 302, 303, 307, 308])("with status %d is followed", async (status) => {
    const { get, calls } = world(hosts, (url) =>
      pathOf(url) === "/a" ? redirect("https://cdn.example/b", status) : new Response(PNG),
    );
    expect(await get("https://img.example/a")).toEqual(image);
    expect(calls[1]?.url).toBe("https://8.8.8.8/b");
    expect(calls[1]?.init).toMatchObject({
      headers: { host: "cdn.example" },
      tls: { serverName: "cdn.example" },
    });
  });

  test("may be relative: it stays with the host's name and is checked again", async () => {
    const { get, calls, looked } = world(hosts, (url) =>
      pathOf(url) === "/a/b" ? redirect("../c") : new Response(PNG),
    );
    expect(await get("https://img.example/a/b")).toEqual(image);
    expect(looked).toEqual(["img.example", "img.example"]);
    expect(calls[1]?.url).toBe(`https://${PUBLIC}/c`);
  });

  test.each([
    { location: "http://127.0.0.1/", problem: NOT_PUBLIC },
    { location: "http://169.254.169.254/latest/meta-data/", problem: NOT_PUBLIC },
    { location: "//[::1]/", problem: NOT_PUBLIC },
    { location: "https://in.example/", problem: NOT_PUBLIC },
    { location: "https://nowhere.example/", problem: NOT_PUBLIC },
    ...[
      "http://img.example:6379/",
      "file:///etc/passwd",
      "https://a:b@img.example/",
      "http://",
    ].map((location) => ({
      location,
      problem: fail("its URL must be http or https on port 80 or 443, without a user name"),
    })),
  ])("to $location is not", async ({ location, problem }) => {
    const { get, calls } = world(hosts, () => redirect(location));
    expect(await get("https://img.example/")).toEqual(problem);
    expect(calls).toHaveLength(1);
  });

  test("may be relative to where an earlier one has led", async () => {
    const answers = [redirect("https://cdn.example/a/b"), redirect("c"), new Response(PNG)];
    const { get, calls } = world(hosts, () => answers.shift() ?? Response.error());
    expect(await get("https://img.example/")).toEqual(image);
    expect(calls[2]?.url).toBe("https://8.8.8.8/a/c");
  });

  test("to the same host is not followed when its name has come to lead inside", async () => {
    const answers = [[PUBLIC], ["127.0.0.1"]];
    const { get, calls } = world({ "evil.example": () => answers.shift() ?? [] }, () =>
      redirect("/again"),
    );
    expect(await get("https://evil.example/")).toEqual(NOT_PUBLIC);
    expect(calls).toHaveLength(1);
  });

  test("may come three times and no more", async () => {
    expect(await world(hosts, redirects(3)).get("https://img.example/")).toEqual(image);
    const { get, calls } = world(hosts, redirects(4));
    expect(await get("https://img.example/")).toEqual(fail("it was redirected more than 3 times"));
    expect(calls).toHaveLength(4);
  });

  test("is not waited for with its body", async () => {
    const { state, body } = endless();
    const { get, settle } = world(hosts, (url) =>
      pathOf(url) === "/a"
        ? new Response(body, { status: 302, headers: { location: "/b" } })
        : new Response(PNG),
    );
    expect(await get("https://img.example/a")).toEqual(image);
    await settle();
    expect(state.cancelled).toBe(true);
  });
});

describe("what is no image says so:", () => {
  const hosts = { "img.example": [PUBLIC] };

  test.each([
    {
      name: "a page",
      script: () => new Response("<html>"),
      problem: "it is no PNG, JPEG, GIF or WebP",
    },
    {
      name: "nothing",
      script: () => new Response(null),
      problem: "it is no PNG, JPEG, GIF or WebP",
    },
    {
      name: "a compressed image, for none was asked for",
      script: () => new Response(Bun.gzipSync(PNG), { headers: { "content-encoding": "gzip" } }),
      problem: "it is no PNG, JPEG, GIF or WebP",
    },
    {
      name: "an error",
      script: () => new Response(PNG, { status: 404 }),
      problem: "its host answered with status 404",
    },
    {
      name: "a redirect to nowhere",
      script: () => new Response(PNG, { status: 302 }),
      problem: "its host answered with status 302",
    },
    {
      name: "no connection",
      script: () => {
        throw new Error("ECONNREFUSED 93.184.215.14");
      },
      problem: "no connection to its host",
    },
    {
      name: "half an answer",
      script: () =>
        new Response(
          new ReadableStream({
            pull(controller) {
              controller.error(new Error("ECONNRESET"));
            },
          }),
        ),
      problem: "its host broke off",
    },
  ])("$name", async ({ script, problem }) => {
    const { get, pending } = world(hosts, script);
    expect(await get("https://img.example/")).toEqual(fail(problem));
    expect(pending()).toBe(0);
  });

  test("a body without end, which is left in time", async () => {
    const { state, body } = endless();
    const { get, settle } = world(hosts, () => new Response(body));
    expect(await get("https://img.example/")).toEqual(fail("it is larger than 10 MB"));
    await settle();
    expect(state.cancelled).toBe(true);
    expect(state.megabytes).toBeLessThan(15);
  });
});

describe("after ten seconds it is over", () => {
  const late = fail("it took longer than 10 seconds");

  test.each([
    { name: "looking up the name", hosts: never, script: () => new Response(PNG) },
    { name: "the connection", hosts: async () => [PUBLIC], script: never },
    {
      name: "the body",
      hosts: async () => [PUBLIC],
      script: () => new Response(new ReadableStream({ pull: never })),
    },
  ])("for $name", async ({ hosts, script }) => {
    const { deps, client, advance } = world({}, script);
    const found = fetchImage("https://img.example/", client.signal, { ...deps, lookup: hosts });
    let over = false;
    void found.then(() => (over = true));
    await advance(9_999);
    expect(over).toBe(false);
    await advance(1);
    expect(await found).toEqual(late);
  });

  test("for all redirects together", async () => {
    const { get, advance, deps, calls } = world({ "img.example": [PUBLIC] }, async () => {
      await deps.runtime.sleep(4_000);
      return redirect("/on");
    });
    const found = get("https://img.example/");
    await advance(10_000);
    expect(await found).toEqual(late);
    expect(calls).toHaveLength(3);
  });

  test("and nothing is asked of a host whose address came too late", async () => {
    const { promise, resolve } = Promise.withResolvers<string[]>();
    const { deps, client, advance, settle, calls } = world();
    const lookup = async () => await promise;
    const found = fetchImage("https://img.example/", client.signal, { ...deps, lookup });
    await advance(10_000);
    expect(await found).toEqual(late);
    resolve([PUBLIC]);
    await settle();
    expect(calls.every(({ init }) => init.signal?.aborted)).toBe(true);
  });
});

test("a client that leaves ends the attempts to connect", async () => {
  const { get, client, settle, calls } = world({ "img.example": [PUBLIC, "8.8.8.8"] }, never);
  const found = get("https://img.example/");
  await settle();
  client.abort();
  expect((await found).ok).toBe(false);
  await settle();
  expect(calls).toHaveLength(1);
});

test("a client that has left already is not kept waiting for a name", async () => {
  const { deps, client, calls } = world();
  client.abort();
  const found = await fetchImage("https://img.example/", client.signal, { ...deps, lookup: never });
  expect(found.ok).toBe(false);
  expect(calls).toEqual([]);
});

test("a client that leaves ends the download", async () => {
  const { get, client, settle, calls, pending } = world(
    { "img.example": [PUBLIC] },
    () => new Response(new ReadableStream({ pull: never })),
  );
  const found = get("https://img.example/");
  await settle();
  client.abort();
  expect((await found).ok).toBe(false);
  expect(calls[0]?.init.signal?.aborted).toBe(true);
  expect(pending()).toBe(0);
});

describe("over sockets", () => {
  const names: (string | null)[] = [];
  const leaves: (() => void)[] = [];
  const serve = (secure: boolean) =>
    Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      ...(secure ? { tls } : {}),
      fetch(request) {
        names.push(request.headers.get("host"));
        if (!request.url.endsWith("/endless")) return new Response(PNG);
        const { body } = endless();
        request.signal.addEventListener("abort", () => leaves.forEach((leave) => leave()));
        return new Response(body);
      },
    });
  const plain = serve(false);
  const secure = serve(true);
  afterAll(async () => await Promise.all([plain.stop(true), secure.stop(true)]));

  /** Bun's own `fetch`; the public address is this machine, and the certificate of the tests counts. */
  const script: ScriptedFetch = async (url, init) => {
    const { port } = url.startsWith("https") ? secure : plain;
    const options = { ...init, tls: { ...init.tls, ca: tls.cert } };
    return await fetch(url.replace(PUBLIC, `127.0.0.1:${port}`), options);
  };
  const hosts = { "kiro.test": [PUBLIC], "other.test": [PUBLIC] };

  test("http has the host's name in its header", async () => {
    expect(await world(hosts, script).get("http://kiro.test/")).toEqual(image);
    expect(names.at(-1)).toBe("kiro.test");
  });

  test("https proves the host's name, though the connection goes to an address", async () => {
    expect(await world(hosts, script).get("https://kiro.test/")).toEqual(image);
    expect(names.at(-1)).toBe("kiro.test");
    const before = names.length;
    expect(await world(hosts, script).get("https://other.test/")).toEqual(
      fail("no connection to its host"),
    );
    expect(names).toHaveLength(before);
  });

  test("a body that is too large has its connection closed", async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    leaves.push(resolve);
    expect(await world(hosts, script).get("http://kiro.test/endless")).toEqual(
      fail("it is larger than 10 MB"),
    );
    await promise;
  });
});

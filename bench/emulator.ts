/**
 * The service for measurements: answers that were made before, over bare sockets, as fast as it can. It checks nothing;
 * `tests/emulator` is the one that does.
 */
import { text } from "../tests/emulator/answers.ts";
import { usageLimits } from "../tests/emulator/management.ts";
import { nowUs } from "./clock.ts";
import { SENT_MARK, type Workload, type WorkloadName, workloads } from "./workloads.ts";

type Client = {
  /** Bytes of the request that are still to come; undefined in its head. */
  missing: number | undefined;
  head: Buffer | undefined;
  path: string;
  /** What the socket did not take at once. */
  unsent: Buffer | undefined;
  /** Of a paced stream: events still to be sent. */
  left: number;
};
type Socket = Bun.Socket<Client>;

const STREAM_HEAD =
  "HTTP/1.1 200 OK\r\ncontent-type: application/vnd.amazon.eventstream\r\n" +
  "x-amzn-requestid: emulated\r\ntransfer-encoding: chunked\r\n\r\n";
const LAST_CHUNK = "0\r\n\r\n";

let paced: { events: number; everyMs: number } | undefined;
let answer = Buffer.alloc(0);
let pacedEnd = Buffer.alloc(0);
/** Paced streams by the millisecond of their interval in which they are due. */
let slots: Set<Socket>[] = [];
let lastTick = 0;

/** What is answered from now on; `events` is for paced workloads. */
export function answerWith(name: WorkloadName, events?: number): void {
  const { frames, load }: Workload = workloads[name];
  answer = Buffer.concat([Buffer.from(STREAM_HEAD), chunk(frames), Buffer.from(LAST_CHUNK)]);
  if (load.type === "closed") {
    paced = undefined;
    return;
  }
  paced = { events: events ?? load.events, everyMs: load.everyMs };
  pacedEnd = Buffer.concat([chunk(frames), Buffer.from(LAST_CHUNK)]);
  slots = Array.from({ length: load.everyMs }, () => new Set());
}

function chunk(frames: Uint8Array[]): Buffer {
  const bytes = Buffer.concat(frames);
  return Buffer.concat([
    Buffer.from(`${bytes.length.toString(16)}\r\n`),
    bytes,
    Buffer.from("\r\n"),
  ]);
}

function send(socket: Socket, bytes: Buffer): void {
  const { unsent } = socket.data;
  if (unsent !== undefined) {
    socket.data.unsent = Buffer.concat([unsent, bytes]);
    return;
  }
  const written = Math.max(0, socket.write(bytes));
  if (written < bytes.length) socket.data.unsent = Buffer.from(bytes.subarray(written));
}

function respond(socket: Socket): void {
  const { path } = socket.data;
  if (!/\/(generateAssistantResponse|v1\/messages)/.test(path)) {
    const body = JSON.stringify(path.includes("getUsageLimits") ? usageLimits() : { models: [] });
    const head = `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n`;
    send(socket, Buffer.from(head + body));
  } else if (paced === undefined) {
    send(socket, answer);
  } else {
    send(socket, Buffer.from(STREAM_HEAD));
    socket.data.left = paced.events;
    slots[Math.floor(Math.random() * slots.length)]?.add(socket);
  }
}

/** Every millisecond: the streams that are due get their next event, all with the same bytes. */
function tick(): void {
  const now = Math.floor(performance.now());
  for (; lastTick < now; lastTick++) {
    const due = slots[lastTick % slots.length];
    if (due === undefined || due.size === 0) continue;
    const event = chunk([text(`and on ${SENT_MARK}${Math.round(nowUs())} `)]);
    for (const socket of due) {
      send(socket, event);
      socket.data.left -= 1;
      if (socket.data.left > 0) continue;
      due.delete(socket);
      send(socket, pacedEnd);
    }
  }
}

function take(socket: Socket, bytes: Buffer): void {
  const client = socket.data;
  if (client.missing === undefined) {
    const head = client.head === undefined ? bytes : Buffer.concat([client.head, bytes]);
    const end = head.indexOf("\r\n\r\n");
    if (end < 0) {
      client.head = head;
      return;
    }
    const lines = head.toString("latin1", 0, end);
    client.head = undefined;
    client.path = lines.slice(0, lines.indexOf("\r\n"));
    const length = /\r\ncontent-length: *(\d+)/i.exec(lines)?.[1];
    client.missing = Number(length ?? 0) - (head.length - end - 4);
  } else {
    client.missing -= bytes.length;
  }
  if (client.missing > 0) return;
  client.missing = undefined;
  respond(socket);
}

/** Gives the port. */
export function listen(port: number): number {
  const server = Bun.listen<Client>({
    hostname: "127.0.0.1",
    port,
    socket: {
      open(socket) {
        socket.data = { missing: undefined, head: undefined, path: "", unsent: undefined, left: 0 };
      },
      data: take,
      drain(socket) {
        const { unsent } = socket.data;
        socket.data.unsent = undefined;
        if (unsent !== undefined) send(socket, unsent);
      },
      close(socket) {
        for (const slot of slots) slot.delete(socket);
      },
      error() {
        // The other side has left; `close` follows.
      },
    },
  });
  setInterval(tick, 1);
  return server.port;
}

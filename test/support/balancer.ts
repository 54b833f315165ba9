import { createServer, request as forward, type IncomingMessage, type ServerResponse } from 'node:http';
import { buffer } from 'node:stream/consumers';

/** A request that came by. */
export interface Passing {
  readonly method: string;
  readonly path: string;
  /** Origin of the server that answers it; null before one was found. */
  target: string | null;
  /** Null while it is under way, and where the connection broke instead. */
  status: number | null;
  /** What a refusal says. */
  refusal: string;
}

/** The moment at which a request is stopped on its way, and what lets it go on. */
export interface Hold {
  readonly arrived: Promise<Passing>;
  release(): void;
}

interface Held {
  readonly fits: (passing: Passing) => boolean;
  readonly arrive: (passing: Passing) => void;
  readonly released: Promise<void>;
}

const BAD_GATEWAY = 502;

function isRefused(thrown: unknown): boolean {
  return thrown instanceof Error && 'code' in thrown && thrown.code === 'ECONNREFUSED';
}

/**
 * A balancer of load on 127.0.0.1, one server after the other with each request. As real ones do it goes on to the next where
 * a server is not there, and answers 502 where one breaks off, for it cannot know what was done. With one target it is a
 * place to hold requests at.
 */
export class Balancer {
  /** All that came by, in order. */
  readonly passed: Passing[] = [];
  #targets: readonly string[] = [];
  #turn = 0;
  readonly #holds = new Set<Held>();
  readonly #server = createServer((request, response) => {
    this.#pass(request, response).catch(() => response.destroy());
  });

  /** Listens on a free port; its origin. */
  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    const address = this.#server.address();
    return `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** Origins to send requests to. */
  aim(targets: readonly string[]): void {
    this.#targets = targets;
  }

  /** Stops the next request that fits before it is passed on. */
  hold(fits: (passing: Passing) => boolean): Hold {
    let release = () => {};
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    const arrived = new Promise<Passing>((arrive) => {
      this.#holds.add({ fits, arrive, released });
    });
    return { arrived, release };
  }

  /** Requests that a server has and has not answered. */
  underWay(): readonly Passing[] {
    return this.passed.filter(({ target, status }) => target !== null && status === null);
  }

  async #pass(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url: path = '' } = request;
    const passing: Passing = { method, path, target: null, status: null, refusal: '' };
    this.passed.push(passing);
    const body = await buffer(request);
    for (const held of this.#holds) {
      if (!held.fits(passing)) continue;
      this.#holds.delete(held);
      held.arrive(passing);
      await held.released;
    }
    const first = this.#turn++;
    for (let skipped = 0; skipped < this.#targets.length; skipped++) {
      passing.target = this.#targets[(first + skipped) % this.#targets.length]!;
      try {
        return await this.#carry(passing, request, response, body);
      } catch (thrown) {
        if (isRefused(thrown)) continue;
        break;
      }
    }
    passing.status = BAD_GATEWAY;
    if (response.headersSent) response.destroy();
    else response.writeHead(BAD_GATEWAY).end('bad gateway');
  }

  /** Rejects where the server is not there or breaks off. */
  #carry(passing: Passing, from: IncomingMessage, to: ServerResponse, body: Buffer): Promise<void> {
    const { method, path, target } = passing;
    return new Promise((resolve, reject) => {
      const asked = forward(`${target}${path}`, { method, headers: from.headers, agent: false }, (answer) => {
        const status = answer.statusCode ?? BAD_GATEWAY;
        to.writeHead(status, answer.headers);
        if (status >= 400) answer.on('data', (chunk) => (passing.refusal += chunk));
        answer.on('error', reject);
        answer.on('end', () => {
          passing.status = status;
          resolve();
        });
        answer.pipe(to);
      });
      asked.on('error', reject);
      to.on('close', () => asked.destroy());
      asked.end(body);
    });
  }
}

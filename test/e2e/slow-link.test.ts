import { afterAll, beforeAll, expect, it } from 'vitest';
import { AggregatorApi } from '../../src/client/api.ts';
import { retryWith } from '../../src/client/retry.ts';
import { downloadModel, upload } from '../../src/client/transfer.ts';
import { httpTransport } from '../../src/client/transport.ts';
import { parseConfig } from '../../src/config/config.ts';
import { predictorOf } from '../../src/config/worker-setup.ts';
import { randomStream } from '../../src/core/random.ts';
import { invite } from '../../src/server/invitations.ts';
import { createRun } from '../../src/server/runs.ts';
import { encodeSubmission } from '../../src/wire/submission.ts';
import { LONG_TESTS } from '../support/deployment.ts';
import { inClear } from '../support/in-clear.ts';
import { updateOf } from '../support/protected-round.ts';
import { slowProxy } from '../support/slow-proxy.ts';
import {
  freshIdentity,
  openTestAggregator,
  type TestAggregator,
  tinyPlan,
} from '../support/test-aggregator.ts';

/** The published size: 1,188,354 parameters, an update of 4.75 MB. */
const PAPER = { name: 'gpo', width: 128, layers: 6, heads: 4, feedforward: 128 };
const FEATURE_WIDTH = 4096;
const TIMEOUT_MS = 300_000;

/** SLOW_LINK=100000 plays the link of the issue, which takes a minute; the breaks are what matters. */
const BYTES_PER_SECOND = Number(process.env['SLOW_LINK'] ?? 1_000_000);
const DROP_EVERY_BYTES = 200_000;

function paperPlan() {
  const plan = tinyPlan({ quorum: 1 });
  const config = { ...plan.config, predictor: PAPER };
  const parameters = predictorOf(parseConfig(config), { featureWidth: FEATURE_WIDTH, rows: 0 }).layout.size;
  return { ...plan, config, parameters, features: { ...plan.features, width: FEATURE_WIDTH } };
}

let aggregator: TestAggregator;

beforeAll(async () => {
  aggregator = await openTestAggregator();
  await aggregator.app.listen({ host: '127.0.0.1', port: 0 });
}, TIMEOUT_MS);
afterAll(() => aggregator.close());

it.skipIf(LONG_TESTS.skip)(
  `a link of ${BYTES_PER_SECOND / 1000} kB/s that breaks every ${DROP_EVERY_BYTES / 1000} kB delivers an update of 4.75 MB${LONG_TESTS.why}`,
  async () => {
    const plan = paperPlan();
    expect(plan.parameters).toBe(1_188_354);
    const { run, digest } = await createRun(aggregator.aggregator, { name: 'paper', plan });
    const { tokens } = await invite(aggregator.aggregator, run, {
      group: null,
      count: 1,
      expiresInMs: 60_000,
    });
    const address = aggregator.app.server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const proxy = await slowProxy({
      port,
      bytesPerSecond: BYTES_PER_SECOND,
      dropEveryBytes: DROP_EVERY_BYTES,
    });
    const transport = httpTransport({ url: `http://127.0.0.1:${proxy.port}` });
    // Patience is counted in waiting, which takes no time here.
    const retry = retryWith({ patienceMs: Number.POSITIVE_INFINITY, sleep: async () => undefined });
    const identity = freshIdentity();
    const aggregatorKey = aggregator.aggregator.identity.publicKey;
    const api = new AggregatorApi({ transport: transport.send, identity, aggregatorKey, run, retry });
    try {
      await api.join({ group: 'far away', token: tokens[0]! });
      const { model } = await api.task();
      const start = await downloadModel({ api, retry }, model, plan.parameters);
      const random = randomStream(1, 'slow-link');
      const delta = start.map(() => 0.01 * random.normal());
      const update = inClear(updateOf('far away', 1, delta, { round: 1 }));
      const { bytes } = encodeSubmission(update, { run: digest, step: 0, model: model.model });
      const name = await upload({ api, retry }, bytes);
      expect(await api.submit({ round: 1, step: 0 }, name)).toEqual({ repeated: false });
      expect(proxy.drops()).toBeGreaterThan(20);
    } finally {
      transport.close();
      await proxy.close();
    }
  },
  TIMEOUT_MS,
);

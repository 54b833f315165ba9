import { statSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { cast, closeCasts } from '../support/sharded-cast.ts';
import type { ServingKeeper } from '../support/sharded-world.ts';

// A group that waits for a keeper to be started again, to ask for more predictions than one has between two rounds.

afterEach(closeCasts);

const refusals = ({ events }: ServingKeeper) =>
  events.flatMap((event) => (event.type === 'refused' ? [event.message] : [])).join();

test('a keeper that is started again goes on counting what a group asked for, until the next round', async () => {
  const all = cast([], { overrides: ['sharding.queriesPerRound=2'] });
  await all.train(1);
  const predict = () =>
    all.trainers[0]!.predicting(all.received, (ask) => ask({ group: 0, context: [0, 1], targets: [2] }));
  for (let pass = 0; pass < 2; pass++) expect(await predict()).toHaveLength(1);

  await all.keepers[0]!.stop();
  all.keepers[0] = all.world.serve(0);
  const asked = predict().catch((thrown) => thrown);
  await expect
    .poll(() => refusals(all.keepers[0]!), { timeout: 20_000 })
    .toContain('its group has had all predictions of this round');
  const { mode } = statSync(join(all.world.homeOf(0).folder, 'queries.json'));
  if (process.platform !== 'win32') expect(mode & 0o777).toBe(0o600);

  // What it waits for is given up with the next round, which brings new budgets.
  await all.train(2, [1, 2]);
  expect(await asked).toHaveLength(1);

  // Also for whoever starts it again before anybody asked.
  await all.train(3);
  await all.keepers[0]!.stop();
  all.keepers[0] = all.world.serve(0);
  for (let pass = 0; pass < 2; pass++) expect(await predict()).toHaveLength(1);
});

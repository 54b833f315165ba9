import { adaptive } from './adaptive.ts';
import { diloco } from './diloco.ts';
import { fedavg } from './fedavg.ts';
import { fedopt } from './fedopt.ts';
import { fedprox } from './fedprox.ts';
import { qfedavg } from './qfedavg.ts';
import type { StrategyKind } from './strategy.ts';

/** Every kind of strategy. To add one: write its file, add it here, call the conformance suite. */
export const STRATEGIES: readonly StrategyKind[] = [fedavg, fedprox, fedopt, diloco, qfedavg, adaptive];

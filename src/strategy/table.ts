import { fedavg } from './fedavg.ts';
import type { StrategyKind } from './strategy.ts';

/** Every kind of strategy. To add one: write its file, add it here, call the conformance suite. */
export const STRATEGIES: readonly StrategyKind[] = [fedavg];

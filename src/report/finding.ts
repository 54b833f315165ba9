import type { SplitName } from '../evaluate/evaluation.ts';
import { formatDifference, formatScore, plural } from './format.ts';
import { factsOf, methodOf, orderedMethods } from './methods.ts';
import type { Figures, MethodRecord } from './record.ts';

/** Federated training against one other method, on the split that the headline is about. */
export interface Duel {
  readonly rival: MethodRecord;
  readonly rivalMean: number;
  /** Federated mean less the rival's; compared as shown, with three decimals. */
  readonly difference: number;
  readonly verdict: 'ahead' | 'level' | 'behind';
  /** Groups on which federated training scores higher, of those that both have a score for. */
  readonly groupsAhead: number;
  readonly groupsCompared: number;
}

/** What the run says about its federated predictor. */
export interface Finding {
  /** The unseen groups where there are any, else the training groups. */
  readonly split: SplitName;
  readonly federatedMean: number;
  /** Against the best comparison that needs nobody's answers in clear; undefined without any. */
  readonly main: Duel | undefined;
  /** Against every other method with a score, in table order. */
  readonly duels: readonly Duel[];
}

function alignments(method: MethodRecord, split: SplitName): ReadonlyMap<string, number> {
  const own = method.scores.filter((score) => score.split === split);
  return new Map(own.map(({ group, alignment }) => [group, alignment]));
}

function verdictOf(difference: number): Duel['verdict'] {
  if (Number(difference.toFixed(3)) === 0) return 'level';
  return difference > 0 ? 'ahead' : 'behind';
}

function duelOf(federated: MethodRecord, rival: MethodRecord, split: SplitName): Duel | undefined {
  const mean = federated.summaries[split]?.mean;
  const rivalMean = rival.summaries[split]?.mean;
  if (mean === undefined || rivalMean === undefined) return undefined;
  const own = alignments(federated, split);
  const compared = [...alignments(rival, split)].filter(([group]) => own.has(group));
  const ahead = compared.filter(([group, score]) => (own.get(group) ?? score) > score);
  const difference = Number(formatScore(mean)) - Number(formatScore(rivalMean));
  return {
    rival,
    rivalMean,
    difference,
    verdict: verdictOf(difference),
    groupsAhead: ahead.length,
    groupsCompared: compared.length,
  };
}

function best(duels: readonly Duel[]): Duel | undefined {
  return duels.reduce<Duel | undefined>(
    (top, duel) => (top === undefined || duel.rivalMean > top.rivalMean ? duel : top),
    undefined,
  );
}

/** The finding of a run; undefined where it has no federated method with a score. */
export function findingOf(record: Pick<Figures, 'methods'>): Finding | undefined {
  const federated = methodOf(record, 'federated');
  const split = (['unseen', 'training'] as const).find((name) => federated?.summaries[name] !== undefined);
  const federatedMean = split === undefined ? undefined : federated?.summaries[split]?.mean;
  if (federated === undefined || split === undefined || federatedMean === undefined) return undefined;
  const rivals = orderedMethods(record).filter((method) => method !== federated);
  const duels = rivals.flatMap((rival) => duelOf(federated, rival, split) ?? []);
  const main = best(duels.filter(({ rival }) => !factsOf(rival).needsClearAnswers));
  return { split, federatedMean, main, duels };
}

const WHOM: Readonly<Record<SplitName, string>> = {
  training: 'On the groups it was trained with',
  unseen: 'On groups it has never seen',
  'unseen-questions': 'On questions nobody was asked before',
};

/** The finding in one honest sentence; a predictor that does not beat its comparison is said not to. */
export function headline(finding: Finding | undefined): string {
  if (finding === undefined) return 'This run has no federated predictor to judge.';
  const whom = WHOM[finding.split];
  const score = formatScore(finding.federatedMean);
  if (finding.main === undefined)
    return `${whom}, the federated predictor scores ${score}; nothing to compare it with was run.`;
  const { verdict, rival, rivalMean } = finding.main;
  const other = `${factsOf(rival).phrase} (${formatScore(rivalMean)})`;
  if (verdict === 'ahead')
    return `${whom}, the federated predictor (${score}) beats the best comparison that reads nobody’s answers: ${other}.`;
  const relation = verdict === 'level' ? 'is only level with' : 'does not beat';
  return `${whom}, the federated predictor (${score}) ${relation} ${other}: here it has not earned its cost.`;
}

/** One duel as a clause: "0.011 behind the similarity-weighted mean (ahead in 2 of 7 groups)". */
export function duelInWords({ rival, difference, verdict, groupsAhead, groupsCompared }: Duel): string {
  const name = factsOf(rival).phrase;
  const gap = formatDifference(Math.abs(difference)).slice(1);
  const relation =
    verdict === 'level'
      ? `level with ${name}`
      : `${gap} ${verdict === 'ahead' ? 'ahead of' : 'behind'} ${name}`;
  return `${relation} (higher in ${groupsAhead} of ${plural(groupsCompared, 'group')})`;
}

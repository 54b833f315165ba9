import { describe, expect, it } from 'vitest';
import { showProgress } from '../../src/commands/progress.ts';
import type { Terminal } from '../../src/commands/terminal.ts';
import type { Summary } from '../../src/evaluate/evaluation.ts';
import type { RunEvent } from '../../src/simulate/events.ts';

/** A terminal that remembers what was drawn, noted and emitted. */
function recorder(options: Pick<Terminal, 'interactive' | 'json'>) {
  const drawn: string[] = [];
  const noted: string[] = [];
  const emitted: unknown[] = [];
  const terminal: Terminal = {
    ...options,
    quiet: false,
    columns: 80,
    width: 80,
    print: () => {},
    event: (value) => void emitted.push(value),
    note: (text) => void noted.push(text),
    redraw: (text) => void drawn.push(text),
  };
  return { terminal, drawn, noted, emitted };
}

const summary: Summary = {
  mean: 0.8125,
  worst: 0.7,
  meanOverQuestions: 0.81,
  coefficientOfVariation: 0.1,
  fairnessIndex: 0.99,
  questionFairness: 0.9,
  meanDistanceBase2: 0.2,
};

const EVENTS: readonly RunEvent[] = [
  { type: 'start', name: 'test', folder: 'runs/test', configDigest: 'abc' },
  { type: 'begin', method: 'federated', label: 'federated', round: 0, rounds: 4 },
  { type: 'evaluation', method: 'federated', round: 0, step: 0, summaries: { unseen: summary } },
  { type: 'round', method: 'federated', round: 2, rounds: 4, loss: 0.125 },
  { type: 'end', method: 'federated' },
];

describe('the progress of a run', () => {
  it('is a bar with rounds, loss and alignment on a terminal, within its width', () => {
    const { terminal, drawn, noted } = recorder({ interactive: true, json: false });
    EVENTS.forEach(showProgress(terminal));
    expect(drawn.at(-1)).toMatch(/^federated +\[#{6}\.{6}\] 2\/4 {2}loss 0\.1250 {2}alignment 0\.81/);
    for (const line of drawn) expect(line.length).toBeLessThan(80);
    expect(noted).toContainEqual(expect.stringMatching(/federated +done .*unseen 0\.81/));
  });

  it('is one plain line per evaluation without a terminal', () => {
    const { terminal, drawn, noted } = recorder({ interactive: false, json: false });
    EVENTS.forEach(showProgress(terminal));
    expect(drawn).toEqual([]);
    expect(noted).toEqual([
      'Run folder: runs/test',
      expect.stringMatching(/^federated: round 0 .*unseen 0\.81/),
    ]);
  });

  it('hands every event on to machines', () => {
    const { terminal, emitted } = recorder({ interactive: false, json: true });
    EVENTS.forEach(showProgress(terminal));
    expect(emitted).toEqual(EVENTS);
  });
});

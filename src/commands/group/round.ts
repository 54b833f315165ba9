import type { RoundOutcome } from '../../client/participate.ts';
import { defineCommand } from '../command.ts';
import type { Terminal } from '../terminal.ts';
import { takePart, takingPart } from './take-part.ts';

const PATIENCE_MS = 10 * 60_000;

/** The result of a round, or of all rounds. */
export function showOutcome(outcome: RoundOutcome, terminal: Terminal): void {
  const { round, ended, loss, score, model, exported } = outcome;
  terminal.event({ type: 'outcome', ...outcome });
  const part = round === null ? 'No round was left to take part in' : `Round ${round} is done`;
  const trained = loss === null ? '' : `; training loss ${loss.toFixed(4)}`;
  terminal.print(`${part}${trained}.`);
  if (score !== null && model !== null) {
    terminal.print(
      `Model ${model.slice(0, 12)} of round ${score.round}: alignment ${score.alignment.toFixed(4)} on ${score.questions} of the group's questions.`,
    );
  }
  if (ended !== null) terminal.print(`The run is ${ended}. Its model: ${exported}`);
}

export const roundCommand = defineCommand({
  usage: 'round <folder>',
  describe: 'take part in one round: fetch and check the model, train, send, wait, check what came of it',
  options: (parser) => takingPart(parser).example('$0 group round mine', ''),
  run: async ({ folder, scores, device }, terminal) => {
    const options = { folder, scores, device, patienceMs: PATIENCE_MS };
    const outcome = await takePart(options, terminal, (participant) => participant.takeRound());
    showOutcome(outcome, terminal);
    if (outcome.ended === null) terminal.print(`Next round: pluralllm group round ${folder}`);
  },
});

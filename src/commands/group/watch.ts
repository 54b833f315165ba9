import { defineCommand } from '../command.ts';
import { showOutcome } from './round.ts';
import { takePart, takingPart } from './take-part.ts';

export const watchCommand = defineCommand({
  usage: 'watch <folder>',
  describe: 'take part in every round until the run is over',
  options: (parser) => takingPart(parser).example('$0 group watch mine', ''),
  run: async ({ folder, scores, device }, terminal) => {
    const options = { folder, scores, device, patienceMs: Number.POSITIVE_INFINITY };
    const outcome = await takePart(options, terminal, (participant) => participant.watch());
    showOutcome(outcome, terminal);
  },
});

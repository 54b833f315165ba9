#!/usr/bin/env node
import yargs from 'yargs';
import { hideBin } from 'yargs/helpers';
import type { Command } from './commands/command.ts';
import { showError } from './commands/terminal.ts';
import { asPluralError, exitCodeOf, PluralError } from './core/errors.ts';
import { ownVersion } from './core/version.ts';

/** Every verb, in the order of the help text. What a verb does is loaded where it is asked for: all of them together take longer than some need to run. */
const VERBS: Readonly<Record<string, () => Promise<Command>>> = {
  run: async () => (await import('./commands/run.ts')).runCommand,
  dataset: async () => (await import('./commands/dataset.ts')).datasetCommand,
  evaluate: async () => (await import('./commands/evaluate.ts')).evaluateCommand,
  predict: async () => (await import('./commands/predict.ts')).predictCommand,
  export: async () => (await import('./commands/export.ts')).exportCommand,
  report: async () => (await import('./commands/report.ts')).reportCommand,
  privacy: async () => (await import('./commands/privacy.ts')).privacyCommand,
  aggregator: async () => (await import('./commands/aggregator.ts')).aggregatorCommand,
  group: async () => (await import('./commands/group.ts')).groupCommand,
  committee: async () => (await import('./commands/committee.ts')).committeeCommand,
  keeper: async () => (await import('./commands/keeper.ts')).keeperCommand,
  doctor: async () => (await import('./commands/doctor.ts')).doctorCommand,
};

/** The command that a line names first, or all of them: for the help text, and to find what was meant by a word that is none. */
function commandsFor(args: readonly string[]): Promise<Command[]> {
  const named = args.find((arg) => !arg.startsWith('-')) ?? '';
  const loads = Object.hasOwn(VERBS, named) ? [VERBS[named]!] : Object.values(VERBS);
  return Promise.all(loads.map((load) => load()));
}

function parserOf(args: readonly string[], commands: readonly Command[]) {
  const parser = yargs([...args])
    .scriptName('pluralllm')
    .usage(
      '$0 <command>\n\nFederated preference prediction: groups train locally, an aggregator adds the updates.',
    )
    .option('json', {
      type: 'boolean',
      default: false,
      describe: 'one JSON object per line on standard output',
    })
    .option('quiet', { type: 'boolean', default: false, describe: 'print results and errors only' });
  return commands
    .reduce<typeof parser>((built, command) => command.register(built) as typeof parser, parser)
    .demandCommand(1, 'Name a command; "pluralllm --help" lists them.')
    .strict()
    .recommendCommands()
    .version(ownVersion())
    .wrap(Math.min(110, process.stdout.columns ?? 100))
    .exitProcess(false)
    .fail((message, error) => {
      // yargs throws errors of its own for some misuse.
      if (error && error.name !== 'YError') throw error;
      throw new PluralError('USAGE', message ?? error.message, {
        hint: 'See "pluralllm <command> --help".',
      });
    });
}

/** Whether `args` ask for JSON in any spelling, of a command line that may be wrong otherwise. */
function wantsJson(args: readonly string[]): boolean {
  const { json } = yargs([...args])
    .help(false)
    .version(false)
    .option('json', { type: 'boolean' })
    .parseSync();
  return [json].flat().includes(true);
}

/** Refuses `--flag=`, which yargs reads as 0 where a number belongs. */
function checkValues(args: readonly string[]): void {
  const empty = args.find((arg) => /^--[\w-]+=$/.test(arg));
  if (empty === undefined) return;
  throw new PluralError('USAGE', `${empty.slice(2, -1)} needs a value`, {
    hint: 'See "pluralllm <command> --help".',
  });
}

async function main(args: readonly string[]): Promise<number> {
  try {
    checkValues(args);
    await parserOf(args, await commandsFor(args)).parseAsync();
    return 0;
  } catch (thrown) {
    const error = asPluralError(thrown);
    showError(error, wantsJson(args));
    return exitCodeOf(error.code);
  }
}

// A reader that has seen enough (`pluralllm ... | head`) is no failure: the work goes on, its words go nowhere.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
}

process.exitCode = await main(hideBin(process.argv));

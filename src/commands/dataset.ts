import { basename, join } from 'node:path';
import { PluralError } from '../core/errors.ts';
import { describeSurvey } from '../data/describe.ts';
import { writeGroupFile } from '../data/group-file.ts';
import { importSurvey } from '../data/import.ts';
import { IMPORTERS } from '../data/importers/table.ts';
import { listShipped, loadSurvey } from '../data/shipped.ts';
import type { Survey } from '../data/survey.ts';
import { writeSurvey } from '../data/survey-folder.ts';
import { textTable } from '../report/table.ts';
import { type Command, defineCommand } from './command.ts';
import { nestedCommand } from './nested.ts';
import type { Terminal } from './terminal.ts';

const left = (title: string) => ({ title, align: 'left' as const });
const right = (title: string) => ({ title, align: 'right' as const });

function sizeOf({ questions, groups, answers }: Survey): string {
  const pairs = answers.reduce((sum, own) => sum + own.length, 0);
  return `${questions.length} questions, ${groups.length} groups, ${pairs} answers`;
}

const list = defineCommand({
  usage: 'list',
  describe: 'list the surveys that ship with the package, and the formats that can be imported',
  options: (parser) => parser,
  run: async (_, terminal) => {
    const shipped = listShipped().map((name) => ({ name, survey: loadSurvey(name) }));
    for (const { name, survey } of shipped) {
      terminal.event({ type: 'survey', name, provenance: survey.provenance, size: sizeOf(survey) });
    }
    for (const { name, describe } of IMPORTERS) terminal.event({ type: 'format', name, describe });
    const surveys = shipped.map(({ name, survey }) => [name, sizeOf(survey), survey.provenance.licence]);
    terminal.print(textTable([left('survey'), left('size'), left('licence')], surveys));
    terminal.print('');
    const formats = IMPORTERS.map(({ name, describe }) => [name, describe]);
    terminal.print(textTable([left('format'), left('what it reads')], formats));
  },
});

/** `key=value` pairs as the options of an importer. */
function importerOptions(pairs: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const at = pair.indexOf('=');
      if (at < 1) throw new PluralError('USAGE', `"${pair}" is not of the form key=value`);
      const value = pair.slice(at + 1);
      return [pair.slice(0, at), /^-?\d+(\.\d+)?$/.test(value) ? Number(value) : value];
    }),
  );
}

function describeOptions(): string {
  return IMPORTERS.map(
    ({ name, options }) => `${name}: ${Object.keys(options.shape).join(', ') || 'none'}`,
  ).join('; ');
}

async function read(path: string, format: string, options: readonly string[], terminal: Terminal) {
  const imported = await importSurvey({ format, path, options: importerOptions(options) });
  for (const warning of imported.warnings) {
    terminal.event({ type: 'warning', ...warning });
    terminal.note(`warning: ${warning.message}`);
  }
  return imported;
}

const importCommand = defineCommand({
  usage: 'import <path> [options..]',
  describe: 'convert a survey to a survey folder, after checking every row',
  lists: ['options'],
  options: (parser) =>
    parser
      .positional('path', { type: 'string', demandOption: true, describe: 'file or export folder' })
      .positional('options', {
        type: 'string',
        array: true,
        default: [] as string[],
        describe: `importer options as key=value (${describeOptions()})`,
      })
      .option('format', {
        choices: ['auto', ...IMPORTERS.map(({ name }) => name)],
        default: 'auto',
        describe: 'format of the file',
      })
      .option('output-dir', {
        type: 'string',
        describe: 'survey folder to write (default: the name of the file)',
      })
      .option('per-group', {
        type: 'boolean',
        default: false,
        describe: 'also write one file per group, which is all that a group needs to keep',
      })
      .example('$0 dataset import global_opinions.csv groups=paper --output-dir surveys/goqa', ''),
  run: async (flags, terminal) => {
    const { survey, format } = await read(flags.path, flags.format, flags.options, terminal);
    const output = flags.outputDir ?? basename(flags.path).replace(/\.[^.]+$/, '');
    writeSurvey(output, survey);
    if (flags.perGroup) {
      for (const { id } of survey.groups) writeGroupFile(join(`${output}-groups`, fileName(id)), survey, id);
    }
    terminal.event({ type: 'imported', output, format, size: sizeOf(survey) });
    terminal.print(`${output}: ${sizeOf(survey)} (read as ${format})`);
    if (flags.perGroup) terminal.print(`${output}-groups: one file per group`);
  },
});

/** A group's id as a file name that no path can hide in. */
function fileName(id: string): string {
  return `${encodeURIComponent(id).replaceAll('.', '%2E')}.arrow`;
}

const validate = defineCommand({
  usage: 'validate <path> [options..]',
  describe: 'check a survey file or folder and write nothing',
  lists: ['options'],
  options: (parser) =>
    parser
      .positional('path', {
        type: 'string',
        demandOption: true,
        describe: 'file, export folder or survey folder',
      })
      .positional('options', {
        type: 'string',
        array: true,
        default: [] as string[],
        describe: 'importer options',
      })
      .option('format', {
        choices: ['auto', ...IMPORTERS.map(({ name }) => name)],
        default: 'auto',
        describe: 'format of the file',
      }),
  run: async (flags, terminal) => {
    const { survey, format, warnings } = await read(flags.path, flags.format, flags.options, terminal);
    terminal.event({ type: 'valid', format, size: sizeOf(survey), warnings: warnings.length });
    terminal.print(`valid: ${sizeOf(survey)} (read as ${format}, ${warnings.length} warnings)`);
  },
});

const describeCommand = defineCommand({
  usage: 'describe <survey>',
  describe: 'show what is in a survey: a shipped one, or a survey folder',
  options: (parser) =>
    parser.positional('survey', { type: 'string', demandOption: true, describe: 'name or folder' }),
  run: async (flags, terminal) => {
    const survey = loadSurvey(flags.survey);
    const facts = describeSurvey(survey);
    terminal.event({ type: 'description', ...facts });
    terminal.print(`${facts.name}: ${sizeOf(survey)}`);
    terminal.print(
      `${facts.provenance.source}\n${facts.provenance.licence}: ${facts.provenance.attribution}\n`,
    );
    const byOptions = facts.optionCounts.map(
      ({ options, questions }) => `${questions} with ${options} options`,
    );
    terminal.print(
      `Questions: ${byOptions.join(', ')}; mean entropy ${facts.meanEntropyBits.toFixed(2)} bits\n`,
    );
    const rows = facts.perGroup.map(({ id, label, questions, respondents, meanEntropyBits }) => [
      id,
      label,
      String(questions),
      respondents === null ? '' : `${respondents.fewest}-${respondents.most}`,
      meanEntropyBits.toFixed(2),
    ]);
    const columns = [
      left('group'),
      left('label'),
      right('questions'),
      right('respondents'),
      right('entropy'),
    ];
    terminal.print(textTable(columns, rows));
  },
});

export const datasetCommand: Command = nestedCommand('dataset', 'list, import, check and describe surveys', [
  list,
  importCommand,
  validate,
  describeCommand,
]);

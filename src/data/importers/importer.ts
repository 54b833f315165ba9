import type { z } from 'zod';
import { parseOptions } from '../../core/options.ts';
import type { SurveyDraft } from '../draft.ts';
import type { Warning } from '../warning.ts';

/** What an importer hands to validation. */
export interface ImportedDraft {
  readonly draft: SurveyDraft;
  /** What the importer itself left out or filled in. */
  readonly warnings: readonly Warning[];
}

/** An importer as its author writes it. */
export interface ImporterDefinition<Schema extends z.ZodObject> {
  readonly name: string;
  /** One line for the command line's help. */
  readonly describe: string;
  /** Strict, with a default for every option. */
  readonly options: Schema;
  /** Whether what lies at the path is of this format; may look at the first bytes. */
  recognises(path: string): Promise<boolean>;
  /** Reads everything; `name` is what the survey will be called. */
  read(path: string, name: string, options: z.output<Schema>): Promise<ImportedDraft>;
}

/** An importer as the table holds it: its options are parsed at its own door. */
export interface Importer {
  readonly name: string;
  readonly describe: string;
  readonly options: z.ZodObject;
  recognises(path: string): Promise<boolean>;
  /** Errors: CONFIG_UNKNOWN_KEY, CONFIG_INVALID, and what reading finds. */
  read(path: string, name: string, options: unknown): Promise<ImportedDraft>;
}

/** Makes an importer; add the result to the table in table.ts and give it a test. */
export function defineImporter<Schema extends z.ZodObject>(definition: ImporterDefinition<Schema>): Importer {
  const { name, describe, options: schema } = definition;
  return {
    name,
    describe,
    options: schema,
    recognises: (path) => definition.recognises(path),
    read: async (path, surveyName, options) =>
      definition.read(path, surveyName, parseOptions(`data.options (${name})`, schema, options)),
  };
}

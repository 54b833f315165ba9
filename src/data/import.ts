import { basename, extname, resolve } from 'node:path';
import { PluralError } from '../core/errors.ts';
import { fileExists, isFolder } from '../core/files.ts';
import { importerFor, importerNamed } from './importers/table.ts';
import { type ValidatedSurvey, validateSurvey } from './validate.ts';

export interface ImportRequest {
  /** A name of the importers' table, or `auto` to go by the content. */
  readonly format: string;
  readonly path: string;
  /** What the survey will be called; by default the file or folder name without its extension. */
  readonly name?: string;
  /** The importer's own options, not yet parsed. */
  readonly options?: unknown;
}

export interface ImportResult extends ValidatedSurvey {
  /** The importer that read it. */
  readonly format: string;
}

/** A folder's dot is part of its name, a file's begins the extension. */
function defaultName(path: string): string {
  return isFolder(path) ? basename(path) : basename(path, extname(path));
}

/**
 * Reads a survey from a foreign format and validates it; writes nothing.
 * Errors: FILE_NOT_FOUND, USAGE for an unknown format, CONFIG_UNKNOWN_KEY or CONFIG_INVALID for the options, DATA_*.
 */
export async function importSurvey(request: ImportRequest): Promise<ImportResult> {
  const { format, path, options } = request;
  if (!fileExists(path)) {
    throw new PluralError('FILE_NOT_FOUND', `there is no file or folder ${path}`, {
      hint: 'Check the path; relative paths start at the folder you run the command in.',
    });
  }
  const importer = format === 'auto' ? await importerFor(path) : importerNamed(format);
  const name = request.name ?? defaultName(resolve(path));
  const { draft, warnings } = await importer.read(path, name, options);
  const validated = validateSurvey(draft);
  return { survey: validated.survey, warnings: [...warnings, ...validated.warnings], format: importer.name };
}

import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { sha256 } from '../core/digest.ts';
import { PluralError } from '../core/errors.ts';
import {
  fileExists,
  makeFolder,
  readFileBytes,
  readFileText,
  writeError,
  writeFileAtomic,
} from '../core/files.ts';
import { damaged } from './arrow-table.ts';
import { type Manifest, parseManifest, SURVEY_FORMAT } from './manifest.ts';
import type { Survey } from './survey.ts';
import { questionsBytes, readQuestions, readResponses, responsesBytes } from './survey-tables.ts';
import { validateSurvey } from './validate.ts';

/** The manifest's file name; a folder that holds it is a survey folder. */
export const MANIFEST_FILE = 'survey.json';
const QUESTIONS_FILE = 'questions.arrow';
const RESPONSES_FILE = 'responses.arrow';
const SURVEY_FILES: readonly string[] = [MANIFEST_FILE, QUESTIONS_FILE, RESPONSES_FILE];

function fileEntry(bytes: Uint8Array): { bytes: number; sha256: string } {
  return { bytes: bytes.byteLength, sha256: sha256(bytes) };
}

/** File name to content; a function of the survey alone, byte for byte. */
export function surveyFiles(survey: Survey): ReadonlyMap<string, string | Uint8Array> {
  const questions = questionsBytes(survey.questions);
  const responses = responsesBytes(survey);
  const { source, licence, attribution } = survey.provenance;
  const manifest: Manifest = {
    format: SURVEY_FORMAT,
    name: survey.name,
    groups: survey.groups.map(({ id, label }) => ({ id, label })),
    counts: {
      questions: survey.questions.length,
      groups: survey.groups.length,
      answers: survey.answers.reduce((sum, answers) => sum + answers.length, 0),
    },
    provenance: { source, licence, attribution },
    files: { [QUESTIONS_FILE]: fileEntry(questions), [RESPONSES_FILE]: fileEntry(responses) },
  };
  return new Map<string, string | Uint8Array>([
    [QUESTIONS_FILE, questions],
    [RESPONSES_FILE, responses],
    [MANIFEST_FILE, `${JSON.stringify(manifest, null, 2)}\n`],
  ]);
}

/** A folder may be replaced only if nothing but a survey would be lost with it. */
function checkReplaceable(folder: string): void {
  if (!existsSync(folder)) return;
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch (thrown) {
    throw writeError(folder, thrown);
  }
  const foreign = names.find((name) => !SURVEY_FILES.includes(name));
  if (foreign === undefined) return;
  throw new PluralError('WRITE_FAILED', `${folder} holds "${foreign}", which is not part of a survey`, {
    hint: 'Choose a folder that does not exist yet, or one that holds only a survey, which is then replaced.',
  });
}

/** Puts the finished folder in place; an older survey there comes back if that fails. */
function swapIn(finished: string, folder: string): void {
  const old = `${finished}.old`;
  const hadOld = existsSync(folder);
  if (hadOld) renameSync(folder, old);
  try {
    renameSync(finished, folder);
  } catch (thrown) {
    if (hadOld) renameSync(old, folder);
    throw thrown;
  }
  rmSync(old, { recursive: true, force: true });
}

/**
 * Writes a survey folder whole or not at all: under a temporary name beside it, then by rename. An existing survey folder
 * is replaced; a crash between the two renames leaves it whole beside its place, as `.<name>.<pid>.tmp.old`.
 * Errors: WRITE_FAILED (also when the folder holds anything else), DISK_FULL.
 */
export function writeSurvey(folder: string, survey: Survey): void {
  const target = resolve(folder);
  checkReplaceable(target);
  makeFolder(dirname(target));
  const temporary = join(dirname(target), `.${basename(target)}.${process.pid}.tmp`);
  try {
    rmSync(temporary, { recursive: true, force: true });
    mkdirSync(temporary);
    for (const [name, content] of surveyFiles(survey)) writeFileAtomic(join(temporary, name), content);
    swapIn(temporary, target);
  } catch (thrown) {
    rmSync(temporary, { recursive: true, force: true });
    throw thrown instanceof PluralError ? thrown : writeError(folder, thrown);
  }
}

function checkedBytes(folder: string, name: keyof Manifest['files'], manifest: Manifest): Buffer {
  const path = join(folder, name);
  const bytes = readFileBytes(path);
  const expected = manifest.files[name];
  if (bytes.byteLength !== expected.bytes) {
    throw damaged(path, `has ${bytes.byteLength} bytes, ${MANIFEST_FILE} says ${expected.bytes}`);
  }
  if (sha256(bytes) !== expected.sha256)
    throw damaged(path, `does not have the SHA-256 that ${MANIFEST_FILE} says`);
  return bytes;
}

/** Whether the path is a folder written by `writeSurvey`. */
export function isSurveyFolder(folder: string): boolean {
  return fileExists(join(folder, MANIFEST_FILE));
}

/**
 * Reads a survey folder, compares both Arrow files with their digests, and validates everything again.
 * Errors: FILE_NOT_FOUND, FILE_UNREADABLE, DATA_TRUNCATED with the file's name, and those of `validateSurvey`.
 */
export function readSurvey(folder: string): Survey {
  const manifestPath = join(folder, MANIFEST_FILE);
  const manifest = parseManifest(readFileText(manifestPath), manifestPath);
  const questions = readQuestions(
    checkedBytes(folder, QUESTIONS_FILE, manifest),
    join(folder, QUESTIONS_FILE),
  );
  const answers = readResponses(checkedBytes(folder, RESPONSES_FILE, manifest), join(folder, RESPONSES_FILE));
  const { name, groups, provenance } = manifest;
  const { survey, warnings } = validateSurvey({
    name,
    questions,
    groups,
    answers,
    weights: 'shares',
    provenance,
  });
  const [first] = warnings;
  if (first === undefined) return survey;
  throw new PluralError('DATA_FORMAT', `${folder} holds a survey that was not validated: ${first.message}`, {
    hint: 'Import the survey again with this version.',
  });
}

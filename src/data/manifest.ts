import { z } from 'zod';
import { PluralError } from '../core/errors.ts';
import { damaged } from './arrow-table.ts';

/** Raised when a reader of an older version could not read the folder. */
export const SURVEY_FORMAT = 'pluralllm-survey/1';

export const provenanceSchema = z.strictObject({
  source: z.string(),
  licence: z.string(),
  attribution: z.string(),
});

const fileSchema = z.strictObject({ bytes: z.int().min(0), sha256: z.string().regex(/^[0-9a-f]{64}$/) });

const manifestSchema = z.strictObject({
  format: z.literal(SURVEY_FORMAT),
  name: z.string().min(1),
  groups: z.array(z.strictObject({ id: z.string(), label: z.string() })),
  counts: z.strictObject({ questions: z.int(), groups: z.int(), answers: z.int() }),
  provenance: provenanceSchema,
  files: z.strictObject({ 'questions.arrow': fileSchema, 'responses.arrow': fileSchema }),
});

/** `survey.json`: what a survey folder holds, and the digests of its Arrow files. */
export type Manifest = z.output<typeof manifestSchema>;

/** Errors: DATA_TRUNCATED when it is not JSON, DATA_FORMAT when it is not a manifest of this version. */
export function parseManifest(text: string, file: string): Manifest {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (thrown) {
    throw damaged(file, 'is not complete JSON', thrown);
  }
  const parsed = manifestSchema.safeParse(json);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const where = issue?.path.join('.') || 'the manifest';
  throw new PluralError('DATA_FORMAT', `${file}: ${where}: ${issue?.message ?? 'invalid'}`, {
    hint: `This version reads folders of the format ${SURVEY_FORMAT}. Import the survey again.`,
  });
}

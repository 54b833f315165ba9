import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { importSurvey } from '../../src/data/import.ts';
import type { Survey } from '../../src/data/survey.ts';

/** Votes that the share of a statement in a group has to stand on. */
const MIN_VOTES = 5;

/** The conversations in a folder of Polis exports, in the order of their names. */
export async function readConversations(folder: string): Promise<readonly Survey[]> {
  const names = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  const surveys = [];
  for (const { name } of names.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const options = { minVotes: MIN_VOTES };
    surveys.push((await importSurvey({ format: 'polis', path: join(folder, name), options })).survey);
  }
  return surveys;
}

/** Id of an opinion group among those of all conversations. */
export function groupIn(conversation: string, group: string): string {
  return `${conversation} ${group}`;
}

const quoted = (text: string) => `"${text.replaceAll('"', '""')}"`;

/** All conversations as one survey in the long format, whose statements each two groups of one conversation have answered. */
export function longFormat(conversations: readonly Survey[]): string {
  const rows = conversations.flatMap(({ name, questions, groups, answers }) =>
    groups.flatMap((group, index) =>
      answers[index]!.flatMap(({ question, distribution }) => {
        const { id, text, options } = questions[question]!;
        return options.map((option, at) =>
          [
            quoted(`${name} ${id}`),
            quoted(text),
            quoted(option),
            quoted(groupIn(name, group.id)),
            distribution[at],
          ].join(','),
        );
      }),
    ),
  );
  return ['question_id,question,option,group,weight', ...rows, ''].join('\n');
}

import { expect, test } from 'vitest';
import { nearestName, suggestion } from '../../src/core/suggest.ts';

const KNOWN = ['learningRate', 'rounds', 'seed'];

test('the nearest name, whatever its case', () => {
  expect(nearestName('learnignrate', KNOWN)).toBe('learningRate');
  expect(nearestName('ROUNDS', KNOWN)).toBe('rounds');
  expect(nearestName('sed', KNOWN)).toBe('seed');
});

test('nothing where nothing is near', () => {
  expect(nearestName('temperature', KNOWN)).toBeUndefined();
  expect(nearestName('x', [])).toBeUndefined();
});

test('the nearest of several, not the first', () => {
  expect(nearestName('group', ['grape', 'groups'])).toBe('groups');
});

test('the sentence names it, or all there are, or says that there are none', () => {
  expect(suggestion('round', KNOWN)).toBe('Did you mean "rounds"?');
  expect(suggestion('temperature', KNOWN)).toBe('Known: learningRate, rounds, seed.');
  expect(suggestion('clip', [])).toBe('Remove it: nothing can be set here.');
});

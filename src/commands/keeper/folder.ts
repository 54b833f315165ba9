/** What the positional of all commands of a keeper is. */
export const KEEPER_FOLDER = "the keeper's folder: its key, its stage of a model";

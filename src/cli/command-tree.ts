/** The commands of rlnet as data: what completion and the manual page are made of. */
export interface CommandTree {
  name: string;
  description: string;
  /** `term` as a synopsis has it, such as `[files...]`. */
  arguments: { term: string; description: string; choices: readonly string[] }[];
  /** `flags` as --help has them, such as `--out <dir>`; `names` without the value. */
  options: { flags: string; names: string[]; takesValue: boolean; mandatory: boolean; description: string }[];
  commands: CommandTree[];
}

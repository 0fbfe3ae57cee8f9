import type { Command } from 'commander';
import type { CommandTree } from '../command-tree.ts';
import type { Context, Outcome } from '../context.ts';
import { renderBash, renderZsh } from '../render/completion.ts';
import { renderManPage } from '../render/man-page.ts';

/** `rlnet completion bash|zsh` */
export async function completion({ print }: Context, program: Command, shell: 'bash' | 'zsh'): Outcome {
  print((shell === 'bash' ? renderBash : renderZsh)(treeOf(program)));
  return 0;
}

/** `rlnet man-page`: for the release, which packs what it prints. */
export async function manPage({ print, version }: Context, program: Command): Outcome {
  print(renderManPage(treeOf(program), version));
  return 0;
}

/** What --help shows of a command and of those below it, without the help on help. */
function treeOf(command: Command): CommandTree {
  const help = command.createHelp();
  return {
    name: command.name(),
    description: command.description(),
    arguments: help.visibleArguments(command).map((argument) => ({
      term: `${argument.required ? '<' : '['}${argument.name()}${argument.variadic ? '...' : ''}${argument.required ? '>' : ']'}`,
      description: help.argumentDescription(argument),
      choices: argument.argChoices ?? [],
    })),
    options: help.visibleOptions(command).map((option) => ({
      flags: option.flags,
      names: [option.short, option.long].filter((name) => name !== undefined && name !== null),
      mandatory: option.mandatory,
      takesValue: option.required || option.optional,
      description: help.optionDescription(option),
    })),
    commands: help
      .visibleCommands(command)
      .filter((one) => one.name() !== 'help')
      .map(treeOf),
  };
}

import type { Executors } from '../renumbering.ts';
import {
  type AddressStepDependencies,
  armStep,
  readdressStep,
  rehearseStep,
  restoreAddressStep,
  restoreFilesStep,
} from './address.ts';
import { type ClaimStepDependencies, claimStep, preflightStep, releaseStep } from './claim.ts';
import {
  externalStep,
  proveStep,
  type RsStepDependencies,
  registerStep,
  rejoinStep,
  requireRegistered,
  restoreRegistrationStep,
} from './rs.ts';
import {
  demoteStep,
  disableStep,
  enableStep,
  restartStep,
  type ServiceStepDependencies,
  startStep,
  stopStep,
} from './service.ts';

export type StepDependencies = ClaimStepDependencies &
  ServiceStepDependencies &
  AddressStepDependencies &
  RsStepDependencies;

/** Every step of a renumbering, over the ports of this host and its peers. Made anew for each run of the agent. */
export function createExecutors(deps: StepDependencies): Executors {
  return {
    forward: {
      claim: claimStep(deps),
      preflight: preflightStep,
      rehearse: rehearseStep(deps),
      arm: armStep(deps),
      demote: demoteStep(deps),
      disable: disableStep(deps),
      restart: restartStep(deps),
      readdress: readdressStep(deps),
      register: registerStep(deps),
      external: externalStep(deps),
      enable: enableStep(deps),
      start: startStep(deps, ({ plan }) => requireRegistered(deps, plan)),
      rejoin: rejoinStep(deps, ({ change }) => change.to.address),
      prove: proveStep(deps),
      release: releaseStep(deps),
    },
    back: {
      stop: stopStep(deps),
      restore_address: restoreAddressStep(deps),
      restore_registration: restoreRegistrationStep(deps),
      restore_files: restoreFilesStep(deps),
      enable: enableStep(deps),
      start: startStep(deps),
      rejoin: rejoinStep(deps, ({ change }) => change.from.address),
      release: releaseStep(deps),
    },
  };
}

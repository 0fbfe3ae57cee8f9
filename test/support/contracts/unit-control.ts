import { describe, expect, it } from 'vitest';
import type { UnitControl } from '../../../src/host/ports/unit-control.ts';
import { judgeUnit } from '../../../src/protocol/unit.ts';

/** What a unit does when it is told to. */
export type UnitBehaviour = 'runs' | 'fails at once' | 'hangs on its way up' | 'hangs on its way down';

export interface UnitControlUnderTest {
  control: UnitControl;
  /** Makes a new unit that behaves so, enabled and inactive. @returns its own name */
  install: (behaviour: UnitBehaviour) => Promise<string>;
}

/** What every UnitControl keeps, the real one and a simulated one. */
export function unitControlContract(
  name: string,
  make: () => Promise<UnitControlUnderTest>,
  { concurrent = false }: { concurrent?: boolean } = {},
): void {
  const { signal } = new AbortController();
  const patient = { boundMs: 30_000, signal };
  const hasty = { boundMs: 1_500, signal };

  describe(`${name} keeps the contract of UnitControl`, { concurrent }, () => {
    it('says not-found of a unit that is not there', async () => {
      const { control } = await make();
      expect(await control.record('no-such.service')).toMatchObject({ loadState: 'not-found', links: [] });
      expect(await control.state('no-such.service')).toMatchObject({ loadState: 'not-found' });
    });

    it('says of its state what the record says', async () => {
      const { control, install } = await make();
      const unit = await install('runs');
      for (const change of [async () => {}, async () => control.disable(await control.record(unit))]) {
        await change();
        const { loadState, activeState, unitFileState, result } = await control.state(unit);
        expect(await control.record(unit)).toMatchObject({ loadState, activeState, unitFileState, result });
      }
      expect(await control.state(unit)).toMatchObject({ unitFileState: 'disabled', activeState: 'inactive' });
    });

    it('records an enabled unit with its links, and judgeUnit has nothing against it', async () => {
      const { control, install } = await make();
      const record = await control.record(await install('runs'));
      expect(record).toMatchObject({
        loadState: 'loaded',
        unitFileState: 'enabled',
        activeState: 'inactive',
      });
      expect(record.links).not.toEqual([]);
      expect(judgeUnit(record)).toEqual([]);
    });

    it('disables, and enables again to the very same record, each as often as asked', async () => {
      const { control, install } = await make();
      const unit = await install('runs');
      const before = await control.record(unit);
      await control.disable(before);
      await control.disable(before);
      await control.flush(before);
      expect(await control.record(unit)).toMatchObject({ unitFileState: 'disabled', links: [] });
      await control.enable(before);
      await control.enable(before);
      await control.flush(before);
      expect(await control.record(unit)).toEqual(before);
    });

    it('does not stop a unit by disabling it, nor start one by enabling it', async () => {
      const { control, install } = await make();
      const unit = await install('runs');
      const before = await control.record(unit);
      await control.start(unit, patient);
      await control.disable(before);
      expect(await control.record(unit)).toMatchObject({ activeState: 'active' });
      await control.stop(unit, patient);
      await control.enable(before);
      expect(await control.record(unit)).toMatchObject({ activeState: 'inactive' });
    });

    it('starts and stops a unit, each as often as asked', async () => {
      const { control, install } = await make();
      const unit = await install('runs');
      await control.start(unit, patient);
      await control.start(unit, patient);
      expect(await control.record(unit)).toMatchObject({ activeState: 'active' });
      await control.stop(unit, patient);
      await control.stop(unit, patient);
      expect(await control.record(unit)).toMatchObject({ activeState: 'inactive' });
    });

    it('says UNIT_FAILED of a unit that fails, with how it ended', async () => {
      const { control, install } = await make();
      await expect(control.start(await install('fails at once'), patient)).rejects.toMatchObject({
        code: 'UNIT_FAILED',
        message: expect.stringContaining('Result=exit-code'),
      });
    });

    it('says UNIT_TIMEOUT of a unit that hangs on its way up, and leaves it at that', async () => {
      const { control, install } = await make();
      const unit = await install('hangs on its way up');
      await expect(control.start(unit, hasty)).rejects.toMatchObject({ code: 'UNIT_TIMEOUT' });
      expect(await control.record(unit)).toMatchObject({ activeState: 'activating' });
    });

    it('says UNIT_TIMEOUT of a unit that hangs on its way down, and leaves it at that', async () => {
      const { control, install } = await make();
      const unit = await install('hangs on its way down');
      await control.start(unit, patient);
      await expect(control.stop(unit, hasty)).rejects.toMatchObject({ code: 'UNIT_TIMEOUT' });
      expect(await control.record(unit)).toMatchObject({ activeState: 'deactivating' });
    });

    it('stops a unit that hangs on its way up', async () => {
      const { control, install } = await make();
      const unit = await install('hangs on its way up');
      await expect(control.start(unit, hasty)).rejects.toMatchObject({ code: 'UNIT_TIMEOUT' });
      await control.stop(unit, patient);
      expect((await control.record(unit)).activeState).toMatch(/^(inactive|failed)$/);
    });
  });
}

/*
 * Prometheus' text format (version 0.0.4), which is all that a scrape wants. The OpenTelemetry SDK writes the same text from readers, views and
 * aggregations that nobody here needs: everything is known at the moment of the scrape. It would cost the agent several megabytes.
 */

/** The media type of an answer. */
export const expositionType = 'text/plain; version=0.0.4';

export interface Sample {
  labels: Readonly<Record<string, string>>;
  /** In the base unit of the metric's name. */
  value: number;
}

/** One metric with all its samples. A name ends in its unit, and that of a counter in `_total`. */
export interface Metric {
  name: string;
  help: string;
  type: 'gauge' | 'counter';
  samples: readonly Sample[];
}

/** @returns the text; a metric without samples is left out */
export function exposition(metrics: readonly Metric[]): string {
  return metrics
    .filter(({ samples }) => samples.length > 0)
    .map(({ name, help, type, samples }) =>
      [
        `# HELP ${name} ${escaped(help)}`,
        `# TYPE ${name} ${type}`,
        ...samples.map((each) => line(name, each)),
        '',
      ].join('\n'),
    )
    .join('');
}

function line(name: string, { labels, value }: Sample): string {
  const pairs = Object.entries(labels).map(
    ([label, text]) => `${label}="${escaped(text).replaceAll('"', '\\"')}"`,
  );
  return `${name}${pairs.length === 0 ? '' : `{${pairs.join(',')}}`} ${String(value)}`;
}

function escaped(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
}

/** A metric with one sample, or with none where the value is not known: what is not known is never 0. */
export function gauge(
  name: string,
  help: string,
  labels: Sample['labels'],
  value: number | boolean | undefined,
): Metric {
  return {
    name,
    help,
    type: 'gauge',
    samples: value === undefined ? [] : [{ labels, value: Number(value) }],
  };
}

export function counter(name: string, help: string, labels: Sample['labels'], value: number): Metric {
  return { name, help, type: 'counter', samples: [{ labels, value }] };
}

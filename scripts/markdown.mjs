/** The few forms that the generated pages share. */
export const code = (text) => `\`${text}\``;

const tableRow = (cells) => `| ${cells.join(' | ')} |`;

export function table(heads, rows) {
  return [tableRow(heads), tableRow(heads.map(() => '---')), ...rows.map(tableRow)].join('\n');
}

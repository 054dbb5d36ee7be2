const ascending = (values) => [...values].sort((a, b) => a - b)

export const median = (values) => {
  const sorted = ascending(values)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

/** The smallest value that at least the fraction `q` of all values do not exceed. */
export const quantile = (values, q) => ascending(values)[Math.max(0, Math.ceil(values.length * q) - 1)]

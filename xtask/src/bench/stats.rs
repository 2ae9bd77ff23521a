//! Medians, because a busy machine's mean measures the neighbours.

/// Samples of one thing, in one unit.
#[derive(Default)]
pub(super) struct Samples(Vec<f64>);

impl Samples {
    pub(super) fn push(&mut self, value: f64) {
        self.0.push(value);
    }

    /// The value below which this share of the samples lies.
    pub(super) fn quantile(&self, share: f64) -> f64 {
        quantile(self.0.clone(), share)
    }

    pub(super) fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    /// Median absolute deviation, as a share of the median.
    pub(super) fn noise(&self) -> f64 {
        let median = self.median();
        quantile(self.0.iter().map(|value| (value - median).abs()).collect(), 0.5) / median
    }
}

fn quantile(mut values: Vec<f64>, share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let last = values.len().saturating_sub(1);
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "an index into a few hundred samples"
    )]
    let index = (last as f64 * share).round() as usize;
    values.get(index).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::Samples;

    #[test]
    fn medians_ignore_an_outlier() {
        let samples = Samples(vec![1.0, 3.0, 2.0, 2.0, 1000.0]);
        assert_eq!((samples.median(), samples.quantile(1.0)), (2.0, 1000.0));
        assert_eq!(samples.noise(), 0.5);
    }
}

//! How long the tests' random histories are, and where they start: `KAFKARS_STEPS` and
//! `KAFKARS_SEED` make them longer, or the same again.

/// Plays rounds of `steps_per_round`, each from a seed of its own, until there are as many steps as
/// asked for. What a failing test prints tells how to play the round that failed alone.
pub fn play(default_steps: u64, steps_per_round: u64, mut round: impl FnMut(u64)) -> u64 {
    let seed = number("KAFKARS_SEED").unwrap_or_else(|| fastrand::u64(..));
    let steps = number("KAFKARS_STEPS").unwrap_or(default_steps);
    let rounds = steps.div_ceil(steps_per_round);
    for seed in (0..rounds).map(|round| seed.wrapping_add(round)) {
        println!("KAFKARS_SEED={seed} KAFKARS_STEPS={steps_per_round}");
        round(seed);
    }
    rounds
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

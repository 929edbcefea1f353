//! Whatever comes in whatever order, all tables hold what the naive sessionizer says, also across crashes.

use proptest::prelude::*;

use crate::generate::case;
use crate::oracle::{Booked, Oracle};
use crate::run::{blocks, limits, run};

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn booked_is_what_the_definitions_say(case in case(40)) {
        let mut oracle = Oracle::new(&case.world, case.bounds, None);
        blocks(&case.steps).iter().for_each(|block| oracle.read(block));
        let outcome = run(&case.world, &limits(case.bounds), &case.steps, true);
        let mut booked = Booked::default();
        outcome.sealed.iter().for_each(|sealed| booked.add(&sealed.rows));
        let totals = outcome.processor.totals();
        prop_assert_eq!(totals.repeated, oracle.repeated);
        prop_assert_eq!(totals.dropped_total(), oracle.dropped);
        prop_assert_eq!(totals.refused_without_rules, oracle.refused_without_rules);
        prop_assert_eq!(booked, oracle.booked);
    }

    #[test]
    fn a_crash_between_seals_changes_no_byte(case in case(40)) {
        let limits = limits(case.bounds);
        let calm = run(&case.world, &limits, &case.steps, false);
        let rough = run(&case.world, &limits, &case.steps, true);
        prop_assert_eq!(&rough.sealed, &calm.sealed);
        prop_assert_eq!(rough.processor.checkpoint().unwrap(), calm.processor.checkpoint().unwrap());
        prop_assert_eq!(rough.processor.gauges(), calm.processor.gauges());
        let mut position = 0;
        for sealed in &calm.sealed {
            prop_assert_eq!(sealed.from, position);
            position = sealed.to;
        }
        prop_assert_eq!(position, calm.processor.next_position());
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.0;

/// Values under numbers: what the load on a quorum network writes and reads.
contract Storage {
    mapping(uint256 key => bytes value) private values;

    /// An empty value is refused, so that a key that was never written is known by its length.
    error EmptyValue();

    function put(uint256 key, bytes calldata value) external {
        if (value.length == 0) revert EmptyValue();
        values[key] = value;
    }

    function get(uint256 key) external view returns (bytes memory) {
        return values[key];
    }
}

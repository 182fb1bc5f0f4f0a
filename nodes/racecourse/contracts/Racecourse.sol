// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// A racecourse: players bet points on horses, and when every one of them is ready the race is run.
///
/// Points are the contract's own play money; no ether ever moves. Whoever has no points and no bet that is still
/// running is given `startingPoints`. A race is open until all who bet on it are ready. The stakes of all make the
/// jackpot; those who backed the winner share it in proportion to their stakes, and if nobody did it stays for the
/// next race.
contract Racecourse {
    uint256 public constant startingPoints = 1000;
    uint256 public constant horseCount = 5;
    /// Bounds the gas of the transaction that runs a race, which pays every player.
    uint256 public constant mostPlayers = 32;

    struct Bet {
        address player;
        uint8 horse;
        uint256 amount;
        bool ready;
    }

    struct Standing {
        uint256 race;
        bool finished;
        uint8 winner;
        uint256 jackpot;
        Bet[] bets;
    }

    /// Number of the race that is open or was run last; 0 before the first bet.
    uint256 private race;
    bool private finished = true;
    uint8 private winner;
    uint256 private jackpot;
    Bet[] private bets;
    mapping(address => uint256) private pointsLeft;
    /// Place in `bets`, from 1, of a player in a race: nothing has to be cleared between races.
    mapping(uint256 => mapping(address => uint256)) private placeOf;

    event RaceOpened(uint256 indexed race, uint256 jackpot);
    event BetPlaced(uint256 indexed race, address indexed player, uint8 horse, uint256 amount);
    event PlayerReady(uint256 indexed race, address indexed player);
    event RaceFinished(uint256 indexed race, uint8 winner, uint256 jackpot, uint256 paid, bytes32 draw);
    event Paid(uint256 indexed race, address indexed player, uint256 amount);

    error NoSuchHorse(uint256 horse);
    error NothingStaked();
    error NotEnoughPoints(uint256 points, uint256 amount);
    error AlreadyBet(uint256 race);
    error RaceIsFull(uint256 race);
    error NoBet();
    error AlreadyReady(uint256 race);

    /// Bets on a horse, from 0, once per race. The first bet after a race opens the next one.
    function placeBet(uint256 horse, uint256 amount) external {
        if (horse >= horseCount) revert NoSuchHorse(horse);
        if (amount == 0) revert NothingStaked();
        if (finished) openRace();
        if (placeOf[race][msg.sender] != 0) revert AlreadyBet(race);
        if (bets.length == mostPlayers) revert RaceIsFull(race);
        uint256 points = pointsOf(msg.sender);
        if (amount > points) revert NotEnoughPoints(points, amount);
        pointsLeft[msg.sender] = points - amount;
        jackpot += amount;
        bets.push(Bet(msg.sender, uint8(horse), amount, false));
        placeOf[race][msg.sender] = bets.length;
        emit BetPlaced(race, msg.sender, uint8(horse), amount);
    }

    /// Says that the sender is ready; the last one to say so runs the race in the same transaction.
    function setReady() external {
        uint256 place = placeOf[race][msg.sender];
        if (place == 0 || finished) revert NoBet();
        Bet storage own = bets[place - 1];
        if (own.ready) revert AlreadyReady(race);
        own.ready = true;
        emit PlayerReady(race, msg.sender);
        for (uint256 index = 0; index < bets.length; index++) {
            if (!bets[index].ready) return;
        }
        runRace();
    }

    /// Everything a page shows of the race that is open or was run last.
    function standing() external view returns (Standing memory) {
        return Standing(race, finished, winner, jackpot, bets);
    }

    /// What a player can stake now.
    function pointsOf(address player) public view returns (uint256) {
        bool running = !finished && placeOf[race][player] != 0;
        return pointsLeft[player] == 0 && !running ? startingPoints : pointsLeft[player];
    }

    function openRace() private {
        race += 1;
        finished = false;
        winner = 0;
        delete bets;
        emit RaceOpened(race, jackpot);
    }

    function runRace() private {
        bytes32 draw = predictableDraw();
        winner = uint8(uint256(draw) % horseCount);
        finished = true;
        uint256 pot = jackpot;
        uint256 paid = payWinners(pot);
        jackpot = pot - paid;
        emit RaceFinished(race, winner, pot, paid, draw);
    }

    /// Shares the pot among those who backed the winner; what does not divide stays in it.
    function payWinners(uint256 pot) private returns (uint256 paid) {
        uint256 backed = 0;
        for (uint256 index = 0; index < bets.length; index++) {
            if (bets[index].horse == winner) backed += bets[index].amount;
        }
        if (backed == 0) return 0;
        for (uint256 index = 0; index < bets.length; index++) {
            Bet storage one = bets[index];
            if (one.horse != winner) continue;
            uint256 share = (pot * one.amount) / backed;
            pointsLeft[one.player] += share;
            paid += share;
            emit Paid(race, one.player, share);
        }
    }

    /// NOT secure: made of what everybody sees one block earlier, so the last player to be ready can compute it and
    /// wait for a block that suits, and a validator can choose. Good enough for points that are worth nothing.
    function predictableDraw() private view returns (bytes32) {
        return keccak256(abi.encode(blockhash(block.number - 1), address(this), race));
    }
}
